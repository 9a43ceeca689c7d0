/**
 * What the guard's tests put at its seams: a clock that the test moves, a store whose answers the test gives, a
 * journal without a disk. The store and the journal are ours to fake; a database and a file system are not.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../src/core/clock.ts';
import { MessageKeeper, type MessageKeeperOptions } from '../../src/saver/index.ts';
import type { Ending, Journal, JournalEntry, RefusedMessage } from '../../src/journal/port.ts';
import type {
  OpenedStream,
  Captured,
  ReadBody,
  Save,
  SaveProgress,
  StreamLog,
} from '../../src/core/save-port.ts';
import type { Message, MessageStore } from '../../src/core/message.ts';
import {
  combine,
  type FullObserver,
  type Observer,
  type SaveReport,
} from '../../src/core/observer.ts';
import { createLogbook } from '../support/logbook.ts';

/** A clock that stands still until it is moved. */
export interface TestClock extends Clock {
  /** Moves on, running what becomes due, in order, and lets everything that follows from it happen. */
  advance(ms: number): Promise<void>;
  /** Time goes by in which the process can do nothing: it is stopped, or busy. */
  stop(ms: number): void;
  /** The wall clock is set, forward or back. */
  setWallClock(byMs: number): void;
  /** Timers that are set. */
  readonly timers: number;
}

/** Lets everything happen that needs no clock. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await nextTurn();
}

export function createTestClock(): TestClock {
  const timers = new Set<{ atMs: number; run: () => void }>();
  let nowMs = 1_000;
  let setByMs = 0;
  return {
    epochMs: () => 1_700_000_000_000 + setByMs + nowMs,
    monotonicMs: () => nowMs,
    after(ms, run) {
      const timer = { atMs: nowMs + ms, run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    get timers() {
      return timers.size;
    },
    setWallClock(byMs) {
      setByMs += byMs;
    },
    stop(ms) {
      nowMs += ms;
    },
    async advance(ms) {
      const endMs = nowMs + ms;
      await settled();
      for (;;) {
        const [next] = [...timers]
          .filter(({ atMs }) => atMs <= endMs)
          .sort((a, b) => a.atMs - b.atMs);
        if (next === undefined) break;
        nowMs = Math.max(nowMs, next.atMs);
        timers.delete(next);
        next.run();
        await settled();
      }
      nowMs = endMs;
    },
  };
}

/** An error as `pg` makes it. */
export function sqlError(code: string): Error {
  return Object.assign(new Error(`what a user wrote is repeated here, ${code}`), { code });
}

/** One call of the store that waits for its answer. */
export interface StoreCall {
  readonly messages: readonly Message[];
  commit(): void;
  reject(error: unknown): void;
}

/** A store whose calls are answered by `behave`; by default it commits at once. */
export interface FaultStore extends MessageStore {
  readonly rows: ReadonlyMap<string, Message>;
  readonly calls: readonly StoreCall[];
  /** Called with each call; whatever it does not answer waits. */
  behave: (call: StoreCall) => void;
  readonly isClosed: boolean;
}

export function createFaultStore(): FaultStore {
  const rows = new Map<string, Message>();
  const calls: StoreCall[] = [];
  let isClosed = false;
  const store: FaultStore = {
    rows,
    calls,
    behave: (call) => call.commit(),
    get isClosed() {
      return isClosed;
    },
    save: (messages) =>
      new Promise<void>((resolve, reject) => {
        const call: StoreCall = {
          messages,
          commit() {
            for (const message of messages) {
              const known = rows.get(message.id);
              if (known === undefined || rank(message) > rank(known)) rows.set(message.id, message);
            }
            resolve();
          },
          reject,
        };
        calls.push(call);
        store.behave(call);
      }),
    close() {
      isClosed = true;
      return Promise.resolve();
    },
  };
  return store;
}

function rank({ revision, complete, text }: Message): number {
  return revision * 1e9 + Number(complete) * 1e8 + text.length;
}

interface LogRecord {
  readonly opened: OpenedStream;
  readonly body: Captured;
  ending: Ending | undefined;
  isKept: boolean;
}

/** A journal in memory. */
export interface FakeJournal extends Journal {
  /** What `sync` says; a promise for a slow disk. */
  syncs: () => boolean | Promise<boolean>;
  /** What `refuse` says; a promise for a slow disk. */
  refuses: () => boolean | Promise<boolean>;
  /** Records that are not settled, by stream id. */
  readonly records: ReadonlyMap<string, LogRecord>;
  readonly refused: readonly string[];
  /** What stands aside; `refuse` of a log or an entry adds to it. */
  readonly aside: RefusedMessage[];
  /** Entries that `backlog` has made, each of which is a read from disk. */
  readonly entriesGiven: number;
  /** What the next `recover` finds. */
  readonly dead: JournalEntry[];
  readonly isClosed: boolean;
}

export function createFakeJournal(): FakeJournal {
  const records = new Map<string, LogRecord>();
  const logs = new WeakMap<StreamLog, LogRecord>();
  const refused: string[] = [];
  const aside: RefusedMessage[] = [];
  const setAside = (message: Message, sqlstate: string): void => {
    refused.push(message.id);
    const one: RefusedMessage = {
      sqlstate,
      store: undefined,
      read: () => (aside.includes(one) ? message : undefined),
      remove: () => void aside.splice(aside.indexOf(one), 1),
    };
    aside.push(one);
  };
  const dead: JournalEntry[] = [];
  let isClosed = false;
  let entriesGiven = 0;
  const idOf = (log: StreamLog): string => logs.get(log)?.opened.id ?? 'nobody';
  const entryOf = (id: string, record: LogRecord): JournalEntry => {
    const { opened, ending } = record;
    // A stream that went on meanwhile has more to save than what this entry gives.
    const settle = (): void => void (record.ending === ending && records.delete(id));
    return {
      opened,
      ending,
      body: () => Promise.resolve(record.body.pieces),
      postpone() {
        if (records.delete(id)) records.set(id, record);
      },
      settle: () => Promise.resolve(settle()),
      refuse(message, sqlstate) {
        setAside(message, sqlstate);
        return Promise.resolve(settle());
      },
    };
  };
  const journal: FakeJournal = {
    syncs: () => true,
    refuses: () => true,
    records,
    refused,
    dead,
    get isClosed() {
      return isClosed;
    },
    open(opened, body) {
      const log: StreamLog = {
        append: () => undefined,
        ahead: true,
        clean: true,
        flush: () => undefined,
        releaseBody: () => undefined,
        readBack: () => Promise.resolve([]),
        drop: () => void records.delete(opened.id),
        close: () => undefined,
      };
      const record: LogRecord = { opened, body, ending: undefined, isKept: false };
      logs.set(log, record);
      records.set(opened.id, record);
      return log;
    },
    end(log, ending) {
      const record = logs.get(log);
      if (record === undefined) return;
      record.ending = ending;
      record.isKept = false;
      // A stream that went on after its first message was settled is written again.
      records.set(record.opened.id, record);
    },
    sync: async () => journal.syncs(),
    settled: (log) => void records.delete(idOf(log)),
    aside,
    refusedMessages: () => [...aside],
    async refuse(log, message, sqlstate) {
      if (!(await journal.refuses())) return false;
      setAside(message, sqlstate);
      records.delete(idOf(log));
      return true;
    },
    backlog(limit, isSkipped = () => false) {
      const kept = [...records].filter(([id, { isKept }]) => isKept && !isSkipped(id));
      const given = kept.slice(0, limit).map(([id, record]) => entryOf(id, record));
      entriesGiven += given.length;
      return given;
    },
    backlogSize: () => [...records.values()].filter(({ isKept }) => isKept).length,
    get entriesGiven() {
      return entriesGiven;
    },
    keep(log) {
      const record = records.get(idOf(log));
      if (record !== undefined) record.isKept = true;
    },
    async *recover() {
      for (const entry of dead.splice(0)) yield await Promise.resolve(entry);
    },
    state: () => ({
      entries: records.size,
      bytes: 0,
      capacityBytes: 0,
      oldestEntryMs: 0,
      degraded: undefined,
      corruptRecords: 0,
      fileSystem: 'disk',
      ephemeral: false,
    }),
    close() {
      isClosed = true;
      return Promise.resolve();
    },
  };
  return journal;
}

/** Reads a body as plain text. */
export const readText: ReadBody = (_stream, body) => {
  const text = body.map(String).join('');
  return {
    text,
    events: null,
    empty: text === '',
    finished: false,
    unknownText: false,
    metadata: null,
  };
};

let streams = 0;

/** A stream that answers with this text. */
export function openedStream(over: Partial<OpenedStream> = {}): OpenedStream {
  streams += 1;
  return {
    id: `stream-${streams}`,
    messageId: `message-${streams}`,
    conversationId: 'conversation',
    role: 'assistant',
    metadata: null,
    route: '/chat/:id',
    format: 'auto',
    contentType: 'text/plain',
    contentEncoding: 'identity',
    events: false,
    startedAtMs: 1_700_000_000_000,
    traceparent: null,
    ...over,
  };
}

/** The message of a stream. */
export function messageOf(opened: OpenedStream, over: Partial<Message> = {}): Message {
  return {
    id: opened.messageId,
    streamId: opened.id,
    conversationId: opened.conversationId,
    role: opened.role,
    text: 'hello',
    events: null,
    metadata: null,
    complete: true,
    outcome: 'completed',
    side: 'server',
    revision: 0,
    chunks: 1,
    bytes: 5,
    droppedBytes: 0,
    traceId: null,
    startedAt: new Date(opened.startedAtMs),
    endedAt: new Date(opened.startedAtMs + 1_000),
    ...over,
  };
}

/** What the observer was told of saves. */
export interface Account {
  readonly observer: FullObserver;
  readonly saves: SaveReport[];
  readonly replayed: string[];
  readonly recovered: string[];
  readonly attempts: (string | undefined)[];
  readonly internalErrors: string[];
  /** Results of kind `first`, by message id: more than one is a mistake. */
  firsts(): Map<string, string[]>;
}

export function createAccount(more: Observer = {}): Account {
  const saves: SaveReport[] = [];
  const replayed: string[] = [];
  const recovered: string[] = [];
  const attempts: (string | undefined)[] = [];
  const internalErrors: string[] = [];
  const observer = combine(
    [
      {
        onSave: (report) => void saves.push(report),
        onReplayed: (result, { messageId }) => void replayed.push(`${result} ${messageId}`),
        onRecovered: (result, { messageId }) => void recovered.push(`${result} ${messageId}`),
        onAttempt: (errorType) => void attempts.push(errorType),
        onInternalError: (where) => void internalErrors.push(where),
      },
      more,
    ],
    () => undefined,
  );
  return {
    observer,
    saves,
    replayed,
    recovered,
    attempts,
    internalErrors,
    firsts() {
      const byId = new Map<string, string[]>();
      for (const { kind, messageId, result } of saves) {
        if (kind === 'first') byId.set(messageId, [...(byId.get(messageId) ?? []), result]);
      }
      return byId;
    },
  };
}

/** A save under way, and how far it has come. */
export interface Tracked {
  readonly opened: OpenedStream;
  readonly message: Message;
  readonly log: StreamLog | undefined;
  readonly progress: SaveProgress;
  readonly confirmed: string | undefined;
  readonly result: string | undefined;
}

/** A keeper with everything around it in the test's hands. */
export interface Bench {
  readonly keeper: MessageKeeper;
  readonly clock: TestClock;
  readonly store: FaultStore;
  readonly account: Account;
  readonly errors: () => readonly string[];
  readonly lines: readonly { readonly level: string; readonly text: string }[];
  /** Opens a stream and hands over its message; with `of`, a further message of that stream. */
  save(over?: Partial<Message>, save?: Partial<Save> & { of?: Tracked }): Tracked;
}

export function createBench(
  over: Partial<MessageKeeperOptions> & { store?: FaultStore } = {},
): Bench {
  const clock = createTestClock();
  const account = createAccount();
  const logbook = createLogbook();
  const store = over.store ?? createFaultStore();
  const keeper = new MessageKeeper({
    journal: undefined,
    read: readText,
    observer: account.observer,
    logger: logbook.logger,
    clock,
    random: () => 0.5,
    ...over,
    store,
  });
  return {
    keeper,
    clock,
    store,
    account,
    errors: logbook.errors,
    lines: logbook.lines,
    save(message, { of, ...save } = {}) {
      const opened = of?.opened ?? openedStream();
      const whole = messageOf(opened, message);
      const log = of === undefined ? keeper.open(opened, { pieces: [whole.text] }) : of.log;
      const progress = keeper.save({
        message: whole,
        stream: {
          id: opened.id,
          route: opened.route,
          method: 'POST',
          guarded: true,
          format: 'auto',
          startedAtMs: opened.startedAtMs,
          chunks: 1,
          bytes: 5,
        },
        log,
        holds: () => true,
        confirmTimeoutMs: 2_000,
        missingAfterMs: 60_000,
        ...save,
      });
      let confirmed: string | undefined;
      let result: string | undefined;
      void progress.confirmed.then((value) => (confirmed = value));
      void progress.result.then((value) => ({ result } = value));
      return {
        opened,
        message: whole,
        log,
        progress,
        get confirmed() {
          return confirmed;
        },
        get result() {
          return result;
        },
      };
    },
  };
}

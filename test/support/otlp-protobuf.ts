/**
 * Reads spans from OTLP's protobuf encoding, which SDKs send by default. Field numbers are those of
 * opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto.
 */
import type { ReceivedSpan } from './otlp.ts';

const RESOURCE_SPANS = 1;
const SCOPE_SPANS = 2;
const SPANS = 2;
const SPAN = {
  traceId: 1,
  spanId: 2,
  parentSpanId: 4,
  name: 5,
  kind: 6,
  attributes: 9,
  status: 15,
};
const STATUS_CODE = 3;
const KEY_VALUE = { key: 1, value: 2 };
const ANY_VALUE = { string: 1, bool: 2, int: 3, double: 4 };

/** Every span of an `ExportTraceServiceRequest`. */
export function decodeSpans(request: Buffer): ReceivedSpan[] {
  return all(request, RESOURCE_SPANS)
    .flatMap((resource) => all(resource, SCOPE_SPANS))
    .flatMap((scope) => all(scope, SPANS))
    .map(decodeSpan);
}

function decodeSpan(span: Buffer): ReceivedSpan {
  const fields = read(span);
  const bytes = (field: number): Buffer =>
    asBytes(fields.find((one) => one.field === field)?.value);
  const status = read(bytes(SPAN.status)).find(({ field }) => field === STATUS_CODE);
  const kind = fields.find(({ field }) => field === SPAN.kind);
  return {
    traceId: bytes(SPAN.traceId).toString('hex'),
    spanId: bytes(SPAN.spanId).toString('hex'),
    parentSpanId: bytes(SPAN.parentSpanId).toString('hex'),
    name: bytes(SPAN.name).toString(),
    kind: Number(kind?.value ?? 0),
    status: Number(status?.value ?? 0),
    attributes: Object.fromEntries(all(span, SPAN.attributes).map(decodeAttribute)),
  };
}

function decodeAttribute(keyValue: Buffer): [string, unknown] {
  const [key] = all(keyValue, KEY_VALUE.key);
  const [any] = all(keyValue, KEY_VALUE.value);
  return [String(key), decodeAny(any ?? Buffer.alloc(0))];
}

function decodeAny(any: Buffer): unknown {
  const [found] = read(any);
  if (found === undefined) return undefined;
  const { field, value } = found;
  if (field === ANY_VALUE.string) return String(value);
  if (field === ANY_VALUE.bool) return Boolean(value);
  if (field === ANY_VALUE.int) return Number(value);
  return field === ANY_VALUE.double ? asBytes(value).readDoubleLE() : value;
}

interface Field {
  readonly field: number;
  /** A number for a varint, bytes for the rest. */
  readonly value: number | Buffer;
}

function all(message: Buffer, wanted: number): Buffer[] {
  return read(message)
    .filter(({ field }) => field === wanted)
    .map(({ value }) => asBytes(value));
}

function asBytes(value: number | Buffer | undefined): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.alloc(0);
}

/** The fields of a message in their order; see "Message Structure" in the encoding guide of protobuf. */
function read(message: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message.readUInt8(at);
      at += 1;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  const take = (length: number): Buffer => message.subarray(at, (at += length));
  while (at < message.length) {
    const tag = varint();
    const wireType = tag % 8;
    const value =
      wireType === 0 ? varint() : take(wireType === 1 ? 8 : wireType === 5 ? 4 : varint());
    fields.push({ field: Math.floor(tag / 8), value });
  }
  return fields;
}

/** What the app and those who watch it agree on. */

/** The two routes, and where the answers of each are kept. */
export const ANSWERS = {
  naive: 'select conversation_id as id, text from lastchunk_demo_answers',
  guarded: 'select conversation_id as id, content as text from lastchunk_messages',
} as const;

/** One of the two routes. */
export type Route = keyof typeof ANSWERS;

/** Both, for loops. */
export const ROUTES = ['naive', 'guarded'] as const satisfies readonly Route[];

/** The name that the connections of the app's own pool have in PostgreSQL. */
export const APP_POOL = 'lastchunk-demo-app';

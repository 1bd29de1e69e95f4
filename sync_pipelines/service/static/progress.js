/**
 * Learning progress in the browser: kept offline in IndexedDB, and synchronised when there is a server.
 *
 * One ES module without dependencies, for browsers since 2022. The rules are those of progress/merge.py, the
 * lessons are written as in schema v1 (`pp_progress_v1`), times as texts of six digits ("…T10:20:30.123456Z"),
 * so that they compare as texts do.
 *
 *     const store = await openProgressStore();
 *     new ProgressSync(store, { token }).start();
 *     await store.markSeen("12");
 *
 * @typedef {object} Lesson
 * @property {boolean} seen
 * @property {boolean} completed
 * @property {number} percent 0 to 100
 * @property {number} time_ms what is shown: the time on all of the learner's devices
 * @property {number} own_time_ms the time on this device, and all that it ever sends
 * @property {number | null} score_best 0 to 100
 * @property {number | null} score_last 0 to 100
 * @property {string} updated_at
 * @property {string | null} last_seen_at
 * @property {string} [stamped_at] the last stamp that this device gave it, where the server took it back to its
 *   own time: it remembers it too, and a later change with an earlier stamp would count as told before
 *
 * @typedef {object} Refusal why the server did not take a lesson; it is sent again at every import
 * @property {string} code "invalid", "unknown_lesson" or "duplicate"
 * @property {string | null} field
 * @property {string} reason
 *
 * @typedef {object} State schema v1, as in a state file
 * @property {1} schema_version
 * @property {string} device_id
 * @property {string} locale
 * @property {Record<string, Lesson>} lessons
 * @property {string[]} pending
 * @property {string | null} last_sync_at
 *
 * @typedef {"change" | "sync"} Cause what a listener is told: the learner did something, or a sync did
 */

/** The stamp of what nobody dated: it loses to every other. */
export const NEVER = "1970-01-01T00:00:00.000000Z";
/** The most time that one call adds, in ms: who reads longer has left the page open. */
export const SESSION_MS = 30 * 60_000;
/** A lesson's times end here: JavaScript counts no further without error. */
export const MAX_TIME_MS = Number.MAX_SAFE_INTEGER;

const KEY = "pp_progress_v1";
const SCHEMA_VERSION = 1;
const LESSONS_AT_ONCE = 200;
/** What pages leave in localStorage, under keys of their own, when there is no time for more. */
const LEFT = "left";

// --- Times -------------------------------------------------------------------------------------------------

const TIME =
  /^(\d{4}-\d\d-\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:[.,](\d+))?)?([Zz]|[+-]\d\d(?::?\d\d)?)$/;

/**
 * A time as it is kept, or null where the text says none; microseconds stay.
 * @param {unknown} text
 * @returns {string | null}
 */
export function stamp(text) {
  const parts = typeof text === "string" ? TIME.exec(text) : null;
  if (!parts) return null;
  const [, day, hours, minutes, seconds = "00", fraction = "", zone] = parts;
  const midnight = new Date(`${day}T00:00:00Z`);
  // Some browsers read 30 February as a day of March.
  if (Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(day)) return null;
  const offset = zone.length > 1 ? `${zone.slice(0, 3)}:${zone.slice(3).replace(":", "") || "00"}` : "Z";
  const time = new Date(`${day}T${hours}:${minutes}:${seconds}${offset}`);
  const written = Number.isNaN(time.getTime()) ? "" : time.toISOString();
  // Years that are not 0001 to 9999 have a sign, or are none.
  if (written.length !== 24 || written.startsWith("0000")) return null;
  return `${written.slice(0, 19)}.${fraction.slice(0, 6).padEnd(6, "0")}Z`;
}

/** @param {number} ms since 1970 */
const stampOf = (ms) => `${new Date(ms).toISOString().slice(0, -1)}000Z`;

/**
 * The stamp of a change: the device's clock, and later than the last by 1 ms at least.
 * @param {string} last
 * @param {number} now
 */
function laterThan(last, now) {
  const next = new Date(Date.parse(`${last.slice(0, 23)}Z`) + 1).toISOString();
  const later = next.length === 24 ? next.slice(0, -1) + last.slice(23) : last;
  return latest(stampOf(now), later);
}

/** @type {(one: string, other: string) => string} */
const latest = (one, other) => (one > other ? one : other);

/** @type {<T extends string | null>(time: T, limit: string) => T | string} */
const notAfter = (time, limit) => (time !== null && time > limit ? limit : time);

// --- Rules: merge.py's acknowledge and pull ----------------------------------------------------------------

/** @type {Lesson} */
const BLANK = {
  seen: false,
  completed: false,
  percent: 0,
  time_ms: 0,
  own_time_ms: 0,
  score_best: null,
  score_last: null,
  updated_at: NEVER,
  last_seen_at: null,
};
const FIELDS = /** @type {(keyof Lesson)[]} */ (Object.keys(BLANK));
const ROW = FIELDS.filter((name) => name !== "time_ms" && name !== "own_time_ms");

/** @type {(one: Lesson | undefined, other: Lesson, names: (keyof Lesson)[]) => boolean} */
const same = (one, other, names) => one !== undefined && names.every((name) => one[name] === other[name]);

/** @type {(lesson: Lesson) => number} */
const othersTime = (lesson) => Math.max(0, lesson.time_ms - lesson.own_time_ms);

/** @type {(one: number | null, other: number | null) => number | null} */
const best = (one, other) => (one === null || other === null ? (one ?? other) : Math.max(one, other));

/**
 * The lesson with these times; `time_ms` is what is shown.
 * @param {Lesson} lesson
 * @param {number} own
 * @param {number} others
 * @returns {Lesson}
 */
const timed = (lesson, own, others) => ({
  ...lesson,
  own_time_ms: Math.min(own, MAX_TIME_MS),
  time_ms: Math.min(own + others, MAX_TIME_MS),
});

/**
 * The lesson with the last stamp that this device gave it, where the row does not tell it.
 * @param {Lesson} lesson
 * @param {string} [given]
 * @returns {Lesson}
 */
function stamped({ stamped_at = NEVER, ...lesson }, given = NEVER) {
  const last = latest(stamped_at, given);
  return last > lesson.updated_at ? { ...lesson, stamped_at: last } : lesson;
}

/** @type {(lesson: Lesson, ms: number) => Lesson} */
const longer = (lesson, ms) => timed(lesson, lesson.own_time_ms + ms, othersTime(lesson));

/**
 * The lesson once the server has taken what was sent, and whether something of it is still to be sent.
 * @param {Lesson} lesson
 * @param {Lesson} sent
 * @param {string} receivedAt the server's time: stamps in its future become this, as they did there
 * @returns {[Lesson, boolean]}
 */
export function acknowledge(lesson, sent, receivedAt) {
  if (!same(lesson, sent, ROW)) return [lesson, true];
  const updated_at = notAfter(lesson.updated_at, receivedAt);
  const last_seen_at = notAfter(lesson.last_seen_at, receivedAt);
  return [{ ...lesson, updated_at, last_seen_at }, lesson.own_time_ms > sent.own_time_ms];
}

/**
 * The lesson once the server's is known, and whether something of it is still to be sent.
 * @param {Lesson | undefined} lesson
 * @param {boolean} pending
 * @param {Lesson} said the server's; its `own_time_ms` is what the server knows of this device's own time
 * @returns {[Lesson, boolean]}
 */
export function pull(lesson, pending, said) {
  if (lesson === undefined) return [said, false];
  const own = Math.max(lesson.own_time_ms, said.own_time_ms);
  const score_best = best(lesson.score_best, said.score_best);
  const newer = said.updated_at > lesson.updated_at;
  const row = { ...lesson, ...(newer ? said : {}), score_best };
  const unsent = own > said.own_time_ms || score_best !== said.score_best;
  return [timed(row, own, othersTime(said)), pending && (unsent || !newer)];
}

// --- Reading what was kept, or said -------------------------------------------------------------------------

/** What was kept, or what the server said, cannot be read. */
class Unreadable extends Error {}

/** @param {unknown} value @returns {value is Record<string, any>} */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * A lesson's id as it is written: one text for one lesson.
 * @param {string | number} id
 * @returns {string}
 */
function lessonId(id) {
  const text = typeof id === "number" && Number.isSafeInteger(id) ? String(id) : id;
  if (typeof text === "string" && /^[1-9][0-9]{0,18}$/.test(text)) return text;
  throw new RangeError("no lesson has such an id: digits are expected, without a leading zero");
}

/**
 * A lesson of schema v1. What is missing is what a new lesson has; keys that are not ours stay.
 * @param {unknown} value
 * @returns {Lesson}
 */
function readLesson(value) {
  if (!isObject(value)) throw new Unreadable("an object is expected");
  const lesson = /** @type {Lesson} */ ({ ...value });
  for (const name of FIELDS) lesson[name] = /** @type {never} */ (readField(name, value[name] ?? BLANK[name]));
  if (value.stamped_at !== undefined) lesson.stamped_at = stamp(value.stamped_at) ?? NEVER;
  if ((value.own_time_ms ?? null) === null) lesson.own_time_ms = lesson.time_ms;
  return stamped(timed(lesson, lesson.own_time_ms, othersTime(lesson)));
}

/**
 * @param {keyof Lesson} name
 * @param {unknown} value
 */
function readField(name, value) {
  if (value === null && BLANK[name] === null) return null;
  if (typeof BLANK[name] === "boolean") {
    if (typeof value === "boolean") return value;
    throw new Unreadable(`${name}: true or false is expected`);
  }
  if (name.endsWith("_at")) {
    const time = stamp(value);
    if (time !== null) return time;
    throw new Unreadable(`${name}: a time is expected, as in 2026-01-12T10:20:30.000Z`);
  }
  const most = name.endsWith("time_ms") ? Infinity : 100;
  if (typeof value !== "number" || !(value >= 0 && value <= most)) {
    throw new Unreadable(`${name}: a number from 0 to ${most} is expected`);
  }
  return Math.min(Math.round(value), MAX_TIME_MS);
}

/**
 * A state of schema v1, and the lessons of it that cannot be read. Throws Unreadable.
 * @param {unknown} value
 */
function readState(value) {
  if (!isObject(value)) throw new Unreadable("an object is expected");
  const { lessons: values, pending, ...state } = value;
  if (state.schema_version !== SCHEMA_VERSION) throw new Unreadable("schema_version: 1 is expected");
  if (typeof state.device_id !== "string" || !/^[^\x00-\x1f\x7f]{1,255}$/.test(state.device_id.trim())) {
    throw new Unreadable("device_id: a text is expected");
  }
  if (!isObject(values)) throw new Unreadable("lessons: an object is expected");
  if (!Array.isArray(pending)) throw new Unreadable("pending: a list is expected");
  /** @type {Map<string, Lesson>} */
  const lessons = new Map();
  /** @type {Map<string, {reason: string, value: unknown}>} */
  const unreadable = new Map();
  for (const [id, value] of Object.entries(values)) {
    try {
      lessons.set(lessonId(id), readLesson(value));
    } catch (error) {
      if (!(error instanceof Unreadable || error instanceof RangeError)) throw error;
      unreadable.set(id, { reason: error.message, value });
    }
  }
  state.last_sync_at = stamp(state.last_sync_at);
  return { state, lessons, pending: pending.filter((id) => lessons.has(id)), unreadable };
}

/** @returns {Record<string, any>} */
const newState = () => ({
  schema_version: SCHEMA_VERSION,
  device_id: uuid(),
  locale: globalThis.navigator?.language ?? "en",
  last_sync_at: null,
});

/** crypto.randomUUID is for secure contexts only. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** @param {Uint8Array} bytes */
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

// --- Where it is kept ---------------------------------------------------------------------------------------

/**
 * `state`: one record; `lessons`: by id; `pending`: the ids that are to be sent, each with why it was last refused
 * or null; `aside`: what could not be read.
 */
const TABLES = ["state", "lessons", "pending", "aside"];

/**
 * What a transaction can do.
 * @typedef {object} Tables
 * @property {(table: string, key: string) => Promise<any>} get undefined where there is nothing
 * @property {(table: string, key: string, value: any) => Promise<unknown>} put
 * @property {(table: string, key: string) => Promise<unknown>} delete
 * @property {(table: string) => Promise<unknown>} clear
 * @property {(table: string) => Promise<[string, any][]>} entries
 *
 * @typedef {object} Keeper
 * @property {<T>(mode: IDBTransactionMode, work: (tables: Tables) => Promise<T>) => Promise<T>} run one
 *   transaction: once the promise is kept, what was written stays; if it breaks, nothing was
 * @property {() => void} close
 */

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const answerOf = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** @type {(transaction: IDBTransaction) => Tables} */
const tablesOf = (transaction) => ({
  get: (table, key) => answerOf(transaction.objectStore(table).get(key)),
  put: (table, key, value) => answerOf(transaction.objectStore(table).put(value, key)),
  delete: (table, key) => answerOf(transaction.objectStore(table).delete(key)),
  clear: (table) => answerOf(transaction.objectStore(table).clear()),
  async entries(table) {
    const store = transaction.objectStore(table);
    const [keys, values] = await Promise.all([answerOf(store.getAllKeys()), answerOf(store.getAll())]);
    return keys.map((key, index) => [String(key), values[index]]);
  },
});

/** @implements {Keeper} */
class Database {
  /** @type {Promise<IDBDatabase> | null} */
  #db = null;
  #name;
  #prepare;

  /**
   * @param {string} name
   * @param {(tables: Tables) => Promise<() => void>} prepare is run each time that the database is opened; it
   *   gives what is to be done once that is kept
   */
  constructor(name, prepare) {
    this.#name = name;
    this.#prepare = prepare;
  }

  /** Throws a DOMException where it cannot be opened. @type {Keeper["run"]} */
  async run(mode, work) {
    this.#db ??= this.#open();
    try {
      return await transact(await this.#db, mode, work);
    } catch (error) {
      if (error instanceof DOMException) this.close(); // the next one opens it again
      throw error;
    }
  }

  async #open() {
    const request = indexedDB.open(this.#name, SCHEMA_VERSION);
    request.onupgradeneeded = () => TABLES.forEach((table) => request.result.createObjectStore(table));
    const db = await answerOf(request);
    db.onversionchange = () => this.close(); // or a newer version of this module could not open it
    db.onclose = () => this.close(); // the browser's data was cleared
    const afterwards = await transact(db, "readwrite", this.#prepare);
    afterwards();
    return db;
  }

  close() {
    const unopened = () => undefined; // whoever opened it was told
    this.#db?.then((db) => db.close(), unopened);
    this.#db = null;
  }
}

/**
 * @template T
 * @param {IDBDatabase} db
 * @param {IDBTransactionMode} mode
 * @param {(tables: Tables) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function transact(db, mode, work) {
  const transaction = db.transaction(TABLES, mode, { durability: "strict" });
  const ended = new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(undefined);
    transaction.onabort = () => reject(transaction.error ?? new Error("the transaction was given up"));
  });
  try {
    const [result] = await Promise.all([work(tablesOf(transaction)), ended]);
    return result;
  } catch (error) {
    abort(transaction);
    throw error;
  }
}

/** @param {IDBTransaction} transaction */
function abort(transaction) {
  try {
    transaction.abort();
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "InvalidStateError")) throw error; // it has ended
  }
}

/** Where there is no IndexedDB: kept until the page is closed. @implements {Keeper} */
class Memory {
  /** @type {Map<string, any>} */
  #values = new Map();
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();

  /** @type {Keeper["run"]} */
  run(mode, work) {
    const result = this.#last.then(async () => {
      const values = new Map(this.#values);
      const done = await work(this.#tablesOf(values));
      this.#values = values;
      return done;
    });
    this.#last = result.catch(() => undefined); // it is told to whoever asked for it
    return result;
  }

  /** @type {(values: Map<string, any>) => Tables} */
  #tablesOf(values) {
    /** @param {string} table */
    const keys = (table) => [...values.keys()].filter((key) => key.startsWith(`${table}/`));
    return {
      get: async (table, key) => structuredClone(values.get(`${table}/${key}`)),
      put: async (table, key, value) => values.set(`${table}/${key}`, structuredClone(value)),
      delete: async (table, key) => values.delete(`${table}/${key}`),
      clear: async (table) => keys(table).forEach((key) => values.delete(key)),
      entries: async (table) =>
        keys(table).map((key) => [key.slice(table.length + 1), structuredClone(values.get(key))]),
    };
  }

  close() {}
}

/**
 * Makes the state that this device goes on with: what is there, or what localStorage has, or a new one. What
 * cannot be read is put aside as it is; localStorage is only ever read.
 * @param {Tables} tables
 * @param {string | null} entry localStorage's, if any
 */
async function prepare(tables, entry) {
  const at = stampOf(Date.now());
  const kept = await tables.get("state", KEY);
  const isNew = kept === undefined;
  const lessons = Object.fromEntries(await tables.entries("lessons"));
  const pending = (await tables.entries("pending")).map(([id]) => id);
  /** @type {(name: string, reason: string, value: unknown) => Promise<unknown>} */
  const setAside = (name, reason, value) => tables.put("aside", `${name} ${at}`, { at, reason, value });
  let found = null;
  try {
    if (!isNew) found = readState({ ...kept, lessons, pending });
    else if (entry !== null) found = readState(parsed(entry));
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    await setAside(KEY, error.message, isNew ? entry : { state: kept, lessons, pending });
    await Promise.all(["lessons", "pending"].map((table) => tables.clear(table)));
  }
  await tables.put("state", KEY, found?.state ?? newState());
  for (const [id, { reason, value }] of found?.unreadable ?? []) {
    await setAside(`lesson ${id}`, `lesson ${id}: ${reason}`, value);
    await Promise.all(["lessons", "pending"].map((table) => tables.delete(table, id)));
  }
  for (const [id, lesson] of found?.lessons ?? []) {
    if (!same(lessons[id], lesson, FIELDS)) await tables.put("lessons", id, lesson);
  }
  if (isNew) await Promise.all((found?.pending ?? []).map((id) => tables.put("pending", id, null)));
}

/**
 * Adds the times that pages have left behind, each once: which were taken is kept with them.
 * @param {Tables} tables
 * @param {Map<string, [string, number]>} left
 */
async function takeIn(tables, left) {
  const taken = new Set(await tables.get("state", LEFT));
  for (const [key, [id, ms]] of left) {
    if (taken.has(key)) continue;
    await tables.put("lessons", id, longer((await tables.get("lessons", id)) ?? BLANK, ms));
    await tables.put("pending", id, (await tables.get("pending", id)) ?? null);
  }
  await tables.put("state", LEFT, [...left.keys()]);
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Unreadable("no JSON can be read from it");
  }
}

/** localStorage, or an empty one where the browser forbids it. @returns {Record<string, string>} */
function localEntries() {
  try {
    return { ...globalThis.localStorage };
  } catch (error) {
    if (error instanceof DOMException) return {};
    throw error;
  }
}

/** @type {(entries: Record<string, string>, name: string) => Map<string, [string, number]>} */
function leftBehind(entries, name) {
  const left = new Map();
  for (const [key, value] of Object.entries(entries)) {
    const parts = key.startsWith(`${name} ${LEFT} `) && /^([1-9]\d{0,18}) (\d{1,7})$/.exec(value);
    if (parts) left.set(key, [parts[1], Number(parts[2])]);
  }
  return left;
}

/**
 * Opens the learner's progress on this device. A learner who is not the only one here has a `name` of their own.
 * @param {object} [options]
 * @param {string} [options.name] the database's
 * @param {string} [options.localStorageKey] what an app of schema v1 has kept, and is taken over once
 * @param {() => number} [options.clock] ms since 1970
 * @returns {Promise<ProgressStore>}
 */
export async function openProgressStore(options = {}) {
  const { name = "pp_progress", localStorageKey = KEY, clock = Date.now } = options;
  /** @type {string[]} */
  const warnings = [];
  /** @type {(candidate: string) => (tables: Tables) => Promise<() => void>} */
  const preparing = (candidate) => async (tables) => {
    const entries = localEntries();
    const left = leftBehind(entries, candidate);
    await prepare(tables, entries[localStorageKey] ?? null);
    await takeIn(tables, left);
    return () => left.forEach((_, key) => localStorage.removeItem(key));
  };
  for (const candidate of [name, `${name}_v${SCHEMA_VERSION}`]) {
    const database = new Database(candidate, preparing(candidate));
    try {
      await database.run("readonly", async () => undefined);
      return new ProgressStore(database, candidate, clock, warnings);
    } catch (error) {
      if (globalThis.indexedDB && !(error instanceof DOMException)) throw error;
      if (error instanceof DOMException && ["VersionError", "NotFoundError"].includes(error.name)) {
        warnings.push(`The database ${candidate} is of another version, and is left as it is.`);
        continue;
      }
      warnings.push("This browser keeps no data here: progress is lost when the page is closed.");
      break;
    }
  }
  const memory = new Memory();
  await memory.run("readwrite", preparing(""));
  return new ProgressStore(memory, null, clock, warnings);
}

/**
 * The learner's progress on this device. Every answer is read where it is kept, so that tabs never disagree; once
 * the promise of a change is kept, the change is.
 */
export class ProgressStore {
  #keeper;
  #clock;
  /** @type {Set<(cause: Cause, here: boolean) => void>} */
  #listeners = new Set();
  /** @type {BroadcastChannel | null} */
  #channel = null;

  /**
   * Use openProgressStore.
   * @param {Keeper} keeper
   * @param {string | null} name of the database, or null where it is kept in memory only
   * @param {() => number} clock
   * @param {string[]} warnings
   */
  constructor(keeper, name, clock, warnings) {
    this.#keeper = keeper;
    this.#clock = clock;
    /** Whether progress outlives the page. */
    this.durable = name !== null;
    /** What the learner should know of how progress is kept. @type {readonly string[]} */
    this.warnings = warnings;
    /** The name that this store's tabs share. */
    this.name = name ?? `memory-${uuid()}`;
    if (name !== null && globalThis.BroadcastChannel) {
      this.#channel = new BroadcastChannel(name);
      this.#channel.onmessage = ({ data }) => this.#hear(data, false);
    }
  }

  /**
   * The lesson was opened.
   * @param {string | number} id
   */
  async markSeen(id) {
    await this.#change(id, (lesson, now) => ({ ...lesson, seen: true, last_seen_at: now }));
  }

  /**
   * Time was spent on the lesson, since the last call; more than SESSION_MS counts as that. It moves no stamp: the
   * server merges time whatever the stamp, and a newer one would undo what another device completed.
   * @param {string | number} id
   * @param {number} ms
   */
  async addTime(id, ms) {
    const spent = sitting(ms);
    lessonId(id);
    if (spent > 0) await this.#edit(id, (lesson) => longer(lesson, spent));
  }

  /**
   * As addTime, for `pagehide`: a page that is left sees no promise kept. It is kept when this returns, and added
   * when the store is next opened.
   * @param {string | number} id
   * @param {number} ms
   */
  addTimeOnLeaving(id, ms) {
    const spent = `${lessonId(id)} ${sitting(ms)}`;
    if (this.durable) localStorage.setItem(`${this.name} ${LEFT} ${uuid()}`, spent);
  }

  /**
   * @param {string | number} id
   * @param {boolean} completed
   * @param {number} [percent] 100 or 0 where it is left out
   */
  async setCompletion(id, completed, percent = completed ? 100 : 0) {
    const change = { completed: Boolean(completed), percent: percentage("percent", percent) };
    await this.#change(id, (lesson) => ({ ...lesson, ...change }));
  }

  /**
   * @param {string | number} id
   * @param {number} score 0 to 100
   */
  async setScore(id, score) {
    const score_last = percentage("score", score);
    await this.#change(id, (lesson) => ({
      ...lesson,
      score_last,
      score_best: best(lesson.score_best, score_last),
    }));
  }

  /**
   * @param {string | number} id
   * @returns {Promise<Lesson | null>} null where nothing is known of it
   */
  async lesson(id) {
    const key = lessonId(id);
    return this.#read(async (tables) => (await tables.get("lessons", key)) ?? null);
  }

  /** By id, in ascending order. @returns {Promise<Record<string, Lesson>>} */
  lessons() {
    return this.#read(async (tables) => Object.fromEntries((await tables.entries("lessons")).sort(byId)));
  }

  /** The ids of what is still to be sent, in ascending order. @returns {Promise<string[]>} */
  pending() {
    return this.#read(async (tables) => (await tables.entries("pending")).sort(byId).map(([id]) => id));
  }

  /** Of the pending lessons those that the server would not take. @returns {Promise<Record<string, Refusal>>} */
  refused() {
    return this.#read(async (tables) =>
      Object.fromEntries((await tables.entries("pending")).filter(([, refusal]) => refusal !== null).sort(byId)),
    );
  }

  /** @returns {Promise<string | null>} */
  lastSyncAt() {
    return this.#read(async (tables) => (await tables.get("state", KEY)).last_sync_at);
  }

  /** @returns {Promise<string>} */
  deviceId() {
    return this.#read(async (tables) => (await tables.get("state", KEY)).device_id);
  }

  /**
   * What could not be read, and is kept as it was.
   * @returns {Promise<{at: string, reason: string, value: any}[]>}
   */
  setAside() {
    return this.#read(async (tables) => (await tables.entries("aside")).map(([, value]) => value));
  }

  /** All of it but whose it is, in schema v1. @returns {Promise<State>} */
  exportState() {
    return this.#read(async (tables) => {
      const { last_sync_at, account: _, ...state } = await tables.get("state", KEY);
      const lessons = Object.fromEntries((await tables.entries("lessons")).sort(byId));
      const pending = (await tables.entries("pending")).sort(byId).map(([id]) => id);
      return { ...state, lessons, pending, last_sync_at };
    });
  }

  /**
   * Calls back after each change: its cause, and whether it was made here and not in another tab.
   * @param {(cause: Cause, here: boolean) => void} listener
   * @returns {() => void} ends it
   */
  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close() {
    this.#channel?.close();
    this.#keeper.close();
  }

  /**
   * For a sync: the progress is this account's from now on. Throws SyncError where it is another's; null is nobody
   * in particular, as good as any as long as the progress is nobody's.
   * @param {string | null} account
   */
  async claim(account) {
    await this.#keeper.run("readwrite", async (tables) => {
      const state = await tables.get("state", KEY);
      if ((state.account ?? null) === account) return;
      if ((state.account ?? null) !== null) {
        throw new SyncError("refused", "the progress kept here is another account's: open a store of its own");
      }
      await tables.put("state", KEY, { ...state, account });
    });
  }

  /**
   * For a sync: the server has answered an import.
   * @param {string} device
   * @param {Record<string, Lesson>} sent
   * @param {Map<string, Refusal>} refused
   * @param {string} receivedAt
   */
  acknowledge(device, sent, refused, receivedAt) {
    return this.#ofDevice(device, async (tables) => {
      for (const [id, was] of Object.entries(sent)) {
        const lesson = await tables.get("lessons", id);
        if (lesson === undefined) continue;
        if (refused.has(id)) {
          await tables.put("pending", id, refused.get(id));
          continue;
        }
        const [taken, unsent] = acknowledge(lesson, was, receivedAt);
        await tables.put("lessons", id, stamped(taken, lesson.updated_at));
        await (unsent ? tables.put("pending", id, null) : tables.delete("pending", id));
      }
    });
  }

  /**
   * For a sync: the server has said what it knows, and that is the end of it.
   * @param {string} device
   * @param {Map<string, Lesson>} said
   */
  pull(device, said) {
    return this.#ofDevice(device, async (tables, state) => {
      const lessons = new Map(await tables.entries("lessons"));
      const pending = new Set((await tables.entries("pending")).map(([id]) => id));
      for (const [id, row] of said) {
        const [lesson, unsent] = pull(lessons.get(id), pending.has(id), row);
        if (!same(lessons.get(id), lesson, FIELDS)) await tables.put("lessons", id, stamped(lesson));
        if (pending.has(id) && !unsent) await tables.delete("pending", id);
      }
      await tables.put("state", KEY, { ...state, last_sync_at: stampOf(this.#clock()) });
    });
  }

  /**
   * What was said of a device that this is no longer would be counted twice.
   * @param {string} device
   * @param {(tables: Tables, state: any) => Promise<void>} work
   */
  async #ofDevice(device, work) {
    await this.#keeper.run("readwrite", async (tables) => {
      const state = await tables.get("state", KEY);
      if (state.device_id === device) await work(tables, state);
    });
    this.#tell("sync");
  }

  /** @type {<T>(work: (tables: Tables) => Promise<T>) => Promise<T>} */
  #read(work) {
    return this.#keeper.run("readonly", work);
  }

  /**
   * @param {string | number} id
   * @param {(lesson: Lesson, now: string) => Lesson} change
   */
  #change(id, change) {
    return this.#edit(id, (lesson) => {
      const now = laterThan(latest(lesson.updated_at, lesson.stamped_at ?? NEVER), this.#clock());
      return stamped({ ...change(lesson, now), updated_at: now });
    });
  }

  /**
   * @param {string | number} id
   * @param {(lesson: Lesson) => Lesson} edit
   */
  async #edit(id, edit) {
    const key = lessonId(id);
    await this.#keeper.run("readwrite", async (tables) => {
      await tables.put("lessons", key, edit((await tables.get("lessons", key)) ?? BLANK));
      await tables.put("pending", key, (await tables.get("pending", key)) ?? null);
    });
    this.#tell("change");
  }

  /** @param {Cause} cause */
  #tell(cause) {
    this.#channel?.postMessage(cause);
    this.#hear(cause, true);
  }

  /**
   * @param {Cause} cause
   * @param {boolean} here
   */
  #hear(cause, here) {
    tellAll(this.#listeners, cause, here);
  }
}

/** The time of one sitting, in whole ms. @param {number} ms */
function sitting(ms) {
  if (ms >= 0) return Math.round(Math.min(ms, SESSION_MS));
  throw new RangeError("time is counted in milliseconds, and never runs back");
}

/** @type {(one: [string, any], other: [string, any]) => number} */
const byId = ([one], [other]) => one.length - other.length || (one < other ? -1 : 1);

/**
 * A listener that fails is the app's affair, and stops nothing.
 * @template {any[]} A
 * @param {Set<(...values: A) => void>} listeners
 * @param {A} values
 */
function tellAll(listeners, ...values) {
  for (const listener of listeners) {
    try {
      listener(...values);
    } catch (error) {
      reportError(error);
    }
  }
}

/** @type {(name: string, value: number) => number} */
function percentage(name, value) {
  if (Number.isInteger(value) && value >= 0 && value <= 100) return value;
  throw new RangeError(`${name}: a whole number from 0 to 100 is expected`);
}

// --- Synchronising ------------------------------------------------------------------------------------------

/** Why a sync failed. "later": trying again may help; "refused": it does not, until the next login. */
export class SyncError extends Error {
  /**
   * @param {"later" | "refused"} kind
   * @param {string} message
   * @param {number} [retryAfterMs] how long the server asked to be left alone
   */
  constructor(kind, message, retryAfterMs = 0) {
    super(message);
    this.name = "SyncError";
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
  }
}

const PATH = "/api/v1/learning/progress/";
const TIMING = {
  /** Changes that come together are sent together. */
  debounceMs: 1500,
  /** How often to try while there is something to send. */
  everyMs: 5 * 60_000,
  /** The first wait after a failure; it doubles up to the longest, less a random part. */
  firstRetryMs: 5000,
  longestRetryMs: 5 * 60_000,
  /** The longest that a server can ask for. */
  longestRetryAfterMs: 60 * 60_000,
  answerMs: 30_000,
};

/**
 * @typedef {object} Status
 * @property {"signed out" | "refused" | "syncing" | "waiting" | "idle"} phase "waiting": for nextAttemptAt
 * @property {number | null} nextAttemptAt ms since 1970
 * @property {{kind: string, message: string, at: number} | null} lastError null after a success
 */

/**
 * Keeps a store and the server in step, one sync at a time over all tabs. Nothing leaves `pending` before the
 * server has taken it.
 */
export class ProgressSync {
  #store;
  #url;
  /** @type {string | null} */
  #token;
  /** @type {string | null} */
  #account;
  #timing;
  /** Whether the server has turned the token away. */
  #turnedAway = false;
  #failures = 0;
  /** @type {Status["lastError"]} */
  #lastError = null;
  /** No trigger is followed before: after a failure, and where the server asked for it. In ms since 1970. */
  #restsUntil = 0;
  #leftUntil = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {number | null} */
  #dueAt = null;
  /** Whether the next attempt asks what is new even where nothing is pending. */
  #inFull = false;
  /** @type {Promise<boolean> | null} */
  #running = null;
  /** Of the attempt that is under way. @type {AbortController | null} */
  #aborter = null;
  /** What ends the triggers. @type {(() => void)[] | null} */
  #stops = null;
  /** @type {Set<(status: Status) => void>} */
  #listeners = new Set();

  /**
   * @param {ProgressStore} store
   * @param {object} options
   * @param {string} [options.url] the service's; the page's own where it is left out
   * @param {string | null} [options.token] a bearer token; without one nothing is sent until `login`
   * @param {string | null} [options.account] whose it is: what was kept for one account is never sent as another's
   * @param {Partial<typeof TIMING>} [options.timing] in ms
   */
  constructor(store, { url = location.origin, token = null, account = null, timing = {} }) {
    this.#store = store;
    this.#url = url.replace(/\/+$/, "") + PATH;
    this.#token = sendable(token);
    this.#account = account;
    this.#timing = { ...TIMING, ...timing };
  }

  /** Syncs now, and whenever there is reason to, until `stop`. */
  start() {
    if (this.#stops) return;
    const soon = this.#timing.debounceMs;
    const tick = setInterval(() => this.#plan(0, false), this.#timing.everyMs);
    this.#stops = [
      () => clearInterval(tick),
      this.#store.onChange((cause) => cause === "change" && this.#plan(soon, false)),
      listen(document, "visibilitychange", () => document.visibilityState === "visible" && this.#plan(soon, true)),
      listen(globalThis, "online", () => {
        this.#failures = this.#restsUntil = 0;
        this.#plan(soon, true);
      }),
    ];
    this.#plan(0, true);
  }

  /** Ends the triggers, and the sync that is under way; what is pending stays. */
  stop() {
    this.#stops?.forEach((stop) => stop());
    this.#stops = null;
    this.#interrupt();
  }

  /**
   * A learner is there: syncs now. Throws RangeError for what can be no token.
   * @param {string} token
   * @param {string | null} [account]
   */
  login(token, account = null) {
    this.#forget(token, account);
    this.#plan(0, true);
  }

  /** Nobody is there any more: nothing is sent until the next login. */
  logout() {
    this.#forget(null, null);
  }

  /**
   * Syncs now, whatever there is to wait for.
   * @returns {Promise<boolean>} whether it succeeded: `status` says why not
   */
  sync() {
    return this.#run(true);
  }

  /** @returns {Status} */
  get status() {
    return { phase: this.#phase(), nextAttemptAt: this.#dueAt, lastError: this.#lastError };
  }

  /**
   * Calls back after each change of the status.
   * @param {(status: Status) => void} listener
   * @returns {() => void} ends it
   */
  onStatus(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @returns {Status["phase"]} */
  #phase() {
    if (this.#aborter) return "syncing";
    if (this.#turnedAway) return "refused";
    if (this.#token === null) return "signed out";
    return this.#dueAt === null ? "idle" : "waiting";
  }

  #tell() {
    tellAll(this.#listeners, this.status);
  }

  /**
   * @param {string | null} token
   * @param {string | null} account
   */
  #forget(token, account) {
    const usable = sendable(token);
    this.#interrupt();
    this.#token = usable;
    this.#account = account;
    this.#turnedAway = false;
    this.#failures = this.#restsUntil = 0;
    this.#lastError = null;
    this.#tell();
  }

  #interrupt() {
    this.#unplan();
    this.#aborter?.abort();
    this.#aborter = null;
  }

  /**
   * @param {number} delay in ms
   * @param {boolean} inFull
   */
  #plan(delay, inFull) {
    if (!this.#stops || this.#token === null) return;
    this.#inFull ||= inFull;
    const due = Math.max(Date.now() + delay, this.#restsUntil, this.#leftUntil);
    if (this.#dueAt !== null && this.#dueAt <= due) return;
    clearTimeout(this.#timer);
    this.#dueAt = due;
    this.#timer = setTimeout(() => this.#run(this.#inFull), due - Date.now());
    this.#tell();
  }

  #unplan() {
    clearTimeout(this.#timer);
    this.#dueAt = null;
    this.#inFull = false;
  }

  /**
   * One attempt, after the one that is under way. Who comes while another waits shares its attempt.
   * @param {boolean} inFull
   */
  async #run(inFull) {
    await this.#running;
    this.#running ??= this.#attempt(inFull).finally(() => (this.#running = null));
    return this.#running;
  }

  /** @param {boolean} inFull */
  async #attempt(inFull) {
    this.#unplan();
    if (this.#token === null) return false;
    const aborter = (this.#aborter = new AbortController());
    this.#tell();
    try {
      await exclusively(`${this.#store.name} sync`, aborter.signal, () => this.#exchange(aborter, inFull));
      if (this.#aborter !== aborter) return false;
      this.#failures = this.#restsUntil = 0;
      this.#lastError = null;
      return true;
    } catch (error) {
      if (this.#aborter === aborter) this.#failed(error, inFull);
      return false;
    } finally {
      if (this.#aborter === aborter) this.#aborter = null;
      this.#tell();
    }
  }

  /**
   * @param {unknown} error
   * @param {boolean} inFull
   */
  #failed(error, inFull) {
    const known = error instanceof SyncError ? error : failureHere(error);
    this.#lastError = { kind: known.kind, message: known.message, at: Date.now() };
    if (known.kind === "refused") {
      this.#token = null;
      this.#turnedAway = true;
      this.#unplan();
      return;
    }
    const { firstRetryMs, longestRetryMs, longestRetryAfterMs } = this.#timing;
    const wait = Math.min(firstRetryMs * 2 ** this.#failures, longestRetryMs);
    this.#failures += 1;
    this.#restsUntil = Date.now() + wait * (0.5 + Math.random() / 2);
    this.#leftUntil = Date.now() + Math.min(known.retryAfterMs, longestRetryAfterMs);
    this.#plan(0, inFull);
  }

  /**
   * @param {AbortController} aborter
   * @param {boolean} inFull
   */
  async #exchange(aborter, inFull) {
    await this.#store.claim(this.#account);
    const { device_id, last_sync_at, lessons, pending } = await this.#store.exportState();
    if (!inFull && pending.length === 0) return;
    for (let first = 0; first < pending.length; first += LESSONS_AT_ONCE) {
      const ids = pending.slice(first, first + LESSONS_AT_ONCE);
      const sent = Object.fromEntries(ids.map((id) => [id, lessons[id]]));
      const said = Object.fromEntries(ids.map((id) => [id, sayable(lessons[id])]));
      const body = JSON.stringify({ device_id, lessons: said });
      // Sent again without an answer it is the same import. What was refused comes as a new one in the next sync:
      // an unknown lesson may be known by then.
      const headers = { "Content-Type": "application/json", ...(await fingerprint(`${last_sync_at}\n${body}`)) };
      const answer = await this.#call(aborter, "import/", { method: "POST", body, headers });
      const { receivedAt, refused } = understood(() => readAnswer(answer));
      await this.#store.acknowledge(device_id, sent, refused, receivedAt);
    }
    const answer = await this.#call(aborter, `?device_id=${encodeURIComponent(device_id)}`);
    const known = understood(() => readRows(answer.json));
    await this.#store.pull(device_id, known);
  }

  /**
   * @param {AbortController} aborter
   * @param {string} path
   * @param {RequestInit} [request]
   * @returns {Promise<Answer>}
   */
  async #call(aborter, path, request = {}) {
    const late = new SyncError("later", "the server did not answer in time");
    const timer = setTimeout(() => aborter.abort(late), this.#timing.answerMs);
    const headers = { Authorization: `Bearer ${this.#token}`, ...request.headers };
    try {
      const options = /** @type {RequestInit} */ ({ cache: "no-store", credentials: "omit", redirect: "error" });
      const response = await fetch(this.#url + path, { ...options, ...request, headers, signal: aborter.signal });
      if (!response.ok) throw await failureOf(response);
      const json = await response.json();
      aborter.signal.throwIfAborted(); // what was answered to one learner is not written for the next
      return { json, headers: response.headers };
    } catch (error) {
      if (aborter.signal.aborted) throw aborter.signal.reason;
      if (error instanceof TypeError) throw new SyncError("later", "the server was not reached");
      if (error instanceof SyntaxError) throw notTheServer();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * A token that can stand in a header. What the learner pastes may hold anything.
 * @template {string | null} T
 * @param {T} token
 */
function sendable(token) {
  if (token === null || /^[\x21-\x7e]+$/.test(token)) return token;
  throw new RangeError("the token has characters that no token has, or none");
}

/** @type {(target: EventTarget, type: string, listener: () => void) => () => void} */
function listen(target, type, listener) {
  target.addEventListener(type, listener);
  return () => target.removeEventListener(type, listener);
}

/**
 * Web Locks are for secure contexts only.
 * @type {<T>(name: string, signal: AbortSignal, work: () => Promise<T>) => Promise<T>}
 */
const exclusively = (name, signal, work) =>
  navigator.locks ? navigator.locks.request(name, { signal }, work) : work();

/** What a device says of a lesson. @type {(lesson: Lesson) => Record<string, unknown>} */
const sayable = (lesson) => ({
  ...Object.fromEntries(ROW.map((name) => [name, lesson[name]])),
  time_ms: lesson.own_time_ms,
});

/** The header that makes a repeated import one; digests are for secure contexts only. @param {string} text */
async function fingerprint(text) {
  if (!globalThis.crypto.subtle) return undefined;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return { "Idempotency-Key": hex(new Uint8Array(digest)) };
}

/** @param {Response} response */
async function failureOf(response) {
  const { status } = response;
  const said = await response.json().then(
    (body) => body?.detail,
    () => undefined, // the status says enough
  );
  const message = `the server answered ${status}${typeof said === "string" ? `: ${said.slice(0, 200)}` : ""}`;
  const later = [408, 421, 425, 429].includes(status) || status >= 500;
  return later ? new SyncError("later", message, retryAfter(response)) : new SyncError("refused", message);
}

/** Retry-After in either of its forms, in ms; a date is by the server's clock. @param {Response} response */
function retryAfter({ headers }) {
  const text = headers.get("Retry-After") ?? "";
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const wait = Date.parse(text) - (Date.parse(headers.get("Date") ?? "") || Date.now());
  return wait > 0 ? wait : 0;
}

/** A café's network says 200 to everything. */
const notTheServer = () =>
  new SyncError("later", "the answer is not the server's: another may stand between, asking for a login");

/**
 * What no server said: the browser's storage may work again, a defect will not.
 * @param {unknown} error
 */
function failureHere(error) {
  if (error instanceof DOMException) return new SyncError("later", `the browser's storage failed (${error.name})`);
  reportError(error);
  return new SyncError("refused", `a defect of the library or the app (${error})`);
}

/** @template T @param {() => T} read @returns {T} */
function understood(read) {
  try {
    return read();
  } catch (error) {
    throw error instanceof Unreadable ? notTheServer() : error;
  }
}

/** @param {unknown} value @returns {value is Record<string, any>[]} */
const isList = (value) => Array.isArray(value) && value.every(isObject);

/** @typedef {{ json: any, headers: Headers }} Answer */

/** @param {Answer} answer to an import */
function readAnswer({ json, headers }) {
  const receivedAt = stamp(headers.get("X-Received-At"));
  if (receivedAt === null || !isList(json?.rejected)) throw new Unreadable("X-Received-At, rejected");
  /** @type {Map<string, Refusal>} */
  const refused = new Map();
  for (const { lesson_id, ...why } of json.rejected) refused.set(lesson_id, why);
  return { receivedAt, refused };
}

/** @param {unknown} rows each with device_time_ms */
function readRows(rows) {
  if (!isList(rows)) throw new Unreadable("a list is expected");
  /** @type {Map<string, Lesson>} */
  const said = new Map();
  for (const { lesson_id, device_time_ms: own_time_ms, ...row } of rows) {
    /** @type {Record<string, unknown>} */
    const values = { ...row, own_time_ms };
    const missing = FIELDS.find((name) => values[name] === undefined);
    if (missing || own_time_ms === null) throw new Unreadable(`${missing ?? "device_time_ms"} is missing`);
    // A number beyond these is not the one that was sent.
    if (Number.isSafeInteger(lesson_id)) said.set(String(lesson_id), readLesson(values));
  }
  return said;
}

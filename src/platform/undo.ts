/** Steps that undo what was begun, the last first. */
export type Undo = (() => unknown)[];

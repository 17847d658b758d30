/** The symbol of `await using`, where the browser has it; one that stands in for it where it has not. */
export const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')

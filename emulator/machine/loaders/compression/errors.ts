/** Compressed data that is damaged or cut off. */
export class CompressionError extends Error {}

/** @throws {CompressionError} */
export function damaged(what: string): never {
	throw new CompressionError(what);
}

import { RequestError } from "../request-error.ts";

const factors: Readonly<Record<string, number>> = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };

/** The host's memory is one WebAssembly memory, of which the machine needs a part for itself. */
const LARGEST = 3 * 1024 ** 3;
/** A kernel is loaded at 1 MiB. */
const SMALLEST = 2 * 1024 ** 2;

/** Bytes of a memory size: a number, or a text such as "256M". @throws {RequestError} that names the command */
export function parseMemorySize(value: string | number, command = "launch"): number {
	const match = /^\s*(\d{1,15})\s*([KMG]?)(?:i?B)?\s*$/i.exec(String(value));
	const bytes = match ? Number(match[1]) * factors[match[2]!.toUpperCase()]! : Number.NaN;
	if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes % 4096 !== 0)
		throw new RequestError(
			`${command}: "memory" ${JSON.stringify(value)} is no memory size: write bytes in whole pages, or a number with K, M or G such as "256M".`,
		);
	if (bytes > LARGEST || bytes < SMALLEST)
		throw new RequestError(`${command}: "memory" ${JSON.stringify(value)} is not possible: a machine has 2M to 3G.`);
	return bytes;
}

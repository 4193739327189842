// The host's 8259A pair in the hands of a VMM (8259A data sheet, ICW1 to ICW4, OCW1, OCW2).

import type { HostMachine } from "../machine/host-machine.ts";

const MASTER = 0x20;
const SLAVE = 0xa0;
const INITIALIZE_WITH_ICW4 = 0x11;
const MODE_8086 = 1;
const END_OF_INTERRUPT = 0x20;

/** Gives the 16 lines vectors from `vector` on, and opens those of `lines`. */
export function startInterruptController(
	{ devices: { ports } }: HostMachine,
	vector: number,
	lines: readonly number[],
): void {
	const open = lines.reduce((bits, line) => bits | (1 << line), 0);
	for (const [base, first, cascade, mask] of [
		[MASTER, vector, 4, ~open & 0xff],
		[SLAVE, vector + 8, 2, (~open >> 8) & 0xff],
	] as const) {
		ports.write(base, 1, INITIALIZE_WITH_ICW4);
		ports.write(base + 1, 1, first);
		ports.write(base + 1, 1, cascade);
		ports.write(base + 1, 1, MODE_8086);
		ports.write(base + 1, 1, mask);
	}
}

/** Ends the service of a line's interrupt (OCW2, non-specific). */
export function endInterrupt({ devices: { ports } }: HostMachine, line: number): void {
	if (line >= 8) ports.write(SLAVE, 1, END_OF_INTERRUPT);
	ports.write(MASTER, 1, END_OF_INTERRUPT);
}

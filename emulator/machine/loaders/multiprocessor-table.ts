// The tables of the MultiProcessor Specification 1.4 (§4), which tell a kernel that is started without firmware of the local APIC and the
// I/O APIC: the floating pointer, and the configuration table behind it.

import type { LoadTarget } from "./boot-state.ts";

/** In the BIOS area, which memory maps call reserved and kernels map. */
const POINTER = 0xf0000;
const TABLE = POINTER + 0x10;
const LOCAL_APIC = 0xfee00000;
const IO_APIC = 0xfec00000;
const EVERY_LOCAL_APIC = 0xff;
/** Types of entries (§4.3) and of interrupts (§4.3.4). */
const Entry = { processor: 0, bus: 1, ioApic: 2, ioInterrupt: 3, localInterrupt: 4 } as const;
const Interrupt = { vectored: 0, nonMaskable: 1, external: 3 } as const;
/** Flags of a processor: enabled; the bootstrap processor. */
const ENABLED = 1;
const BOOTSTRAP = 2;
/** IRQ 2 is the cascade of the 8259A pair; IRQ 0 comes in at input 2 of the I/O APIC. */
const ISA_INTERRUPTS = [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

const text = (value: string): number[] => [...value].map((letter) => letter.charCodeAt(0));
const word = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff];
const double = (value: number): number[] => [...word(value & 0xffff), ...word(value >>> 16)];
const withChecksum = (bytes: number[], at: number): Uint8Array => {
	bytes[at] = -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
	return Uint8Array.from(bytes);
};

/**
 * @param signature of the processors, as CPUID gives it.
 * The processors' APIC IDs are 0, 1, 2 ...
 */
export function placeMultiprocessorTable(target: LoadTarget, signature: number): void {
	const count = target.processors ?? 1;
	// The I/O APIC has the next.
	const ioApicId = count;
	const entries = [
		// Local APICs of version 14H; features: FPU and APIC.
		...[...new Array(count).keys()].map((id) => [
			...[Entry.processor, id, 0x14, ENABLED | (id === 0 ? BOOTSTRAP : 0)],
			...[...double(signature), ...double(0x201), ...double(0), ...double(0)],
		]),
		[Entry.bus, 0, ...text("ISA   ")],
		[Entry.ioApic, ioApicId, 0x11, 1, ...double(IO_APIC)],
		...ISA_INTERRUPTS.map((irq) => [
			...[Entry.ioInterrupt, Interrupt.vectored, 0, 0, 0, irq],
			...[ioApicId, irq === 0 ? 2 : irq],
		]),
		[Entry.localInterrupt, Interrupt.external, 0, 0, 0, 0, EVERY_LOCAL_APIC, 0],
		[Entry.localInterrupt, Interrupt.nonMaskable, 0, 0, 0, 0, EVERY_LOCAL_APIC, 1],
	];
	const body = entries.flat();
	const length = 44 + body.length;
	const identity = [...text("HYPERSCO"), ...text("PC          ")];
	const header = [...text("PCMP"), ...word(length), 4, 0, ...identity, ...double(0), ...word(0)];
	header.push(...word(entries.length), ...double(LOCAL_APIC), ...word(0), 0, 0);
	target.write(TABLE, withChecksum([...header, ...body], 7));
	// One paragraph long, specification 1.4; no default configuration, no IMCR.
	target.write(POINTER, withChecksum([...text("_MP_"), ...double(TABLE), 1, 4, 0, 0, 0, 0, 0, 0], 10));
}

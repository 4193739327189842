// How generated code calls TypeScript: the contract between the rows of isa/ (which name helpers), the engine (which calls
// them) and cpu/ (which implements them).

/** What generated code does after a helper. */
export const Outcome = {
	/** Goes on with the next record of the block. */
	next: 0,
	/** The helper has set State.rip; the instruction has retired; look up the block there. */
	dispatch: 1,
	/** As dispatch, but generated code returns to the run loop first (an interrupt may be due, the machine stops, ...). */
	exit: 2,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/**
 * A helper for one instruction. On entry State.rip is the RIP of the instruction itself. It throws a Fault before it has
 * changed anything architectural, or returns an Outcome. With `next`, State.rip need not be set; with the others it must
 * hold the RIP of the next instruction to execute. `parameter` is what the row passes, usually the operand size in bytes.
 */
export type Helper = (record: number, parameter: number) => Outcome;

/** Low bits of the `kind` argument of slow memory accesses: size in bytes; then the segment; then flags. */
export const AccessKind = {
	sizeMask: 0xff,
	segmentShift: 8,
	segmentMask: 0xf00,
	/** The read belongs to a read-modify-write: the page has to be writable too, and a fault says "write". */
	forWrite: 0x1000,
	/** Address is linear already: no segment is applied. */
	linear: 0x2000,
	/** The access is a supervisor access whatever CPL is (descriptor tables, TSS). */
	supervisor: 0x4000,
} as const;

/** What the engine needs of the processor that it runs. Implemented in cpu/. */
export interface ProcessorHooks {
	/** Helpers by the name that rows use. */
	readonly helpers: Readonly<Record<string, Helper>>;
	/**
	 * Does the whole read that the fast path could not: segment check at offset `offsetHigh:offsetLow` (i32 halves), page walk,
	 * TLB fill, page-crossing, MMIO, watchpoints. The value is left in State.exchange. @throws {Fault}
	 */
	slowRead(record: number, offsetLow: number, offsetHigh: number, kind: number): void;
	/** The same for a write of the value in State.exchange. @throws {Fault} */
	slowWrite(record: number, offsetLow: number, offsetHigh: number, kind: number): void;
	/**
	 * Host-physical address of the code byte at linear address `CS.base + rip` with all checks of a fetch (limit, U/S, NX,
	 * canonical), for the current CPL. @throws {Fault}
	 */
	fetchAddress(rip: bigint): number;
	/** Delivers the exception through the IDT, nested faults, double fault and shutdown included; State.rip is the faulting instruction and is changed to the handler. False after shutdown (triple fault): the run loop stops. */
	deliver(fault: Fault): boolean;
	/** A guest runs (VMX non-root operation): addresses are the guest's, and no host entry lies at them. Absent: never. */
	readonly runsGuest?: boolean;
}

import type { Fault } from "./fault.ts";

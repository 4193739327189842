// Debug registers: breakpoints of the guest itself (SDM Vol. 3B §17.2, §17.3).

import { Fault, Vector } from "../engine/fault.ts";
import { type Helper, Outcome } from "../engine/helper.ts";
import { Cr4 } from "../isa/register-bits.ts";
import { State } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";
import { DebugException } from "./exceptions.ts";
import { type AccessWatch, type WatchedAccess, WatchedFor } from "./memory-access.ts";
import { Internal } from "./processor-state.ts";

/** DR6 bits (SDM Vol. 3B §17.2.3). */
export const Dr6 = { BD: 1 << 13, BS: 1 << 14, BT: 1 << 15 } as const;
const DR6_WRITABLE = 0xe00f;
const DR6_ONES = 0xffff0ff0;
const DR7_WRITABLE = 0xffff23ff;
const DR7_ONES = 0x400;
const DR7_GD = 1 << 13;
const DR7 = (State.dr + 7 * 8) >> 2;

/** R/W fields of DR7. */
const Condition = { execute: 0, write: 1, io: 2, readWrite: 3 } as const;

export class DebugRegisters implements AccessWatch {
	/** Called when the data breakpoints of DR7 were changed: `active` says whether there are any. */
	onDataBreakpoints: (active: boolean) => void = () => {};

	/** Data breakpoints that the instruction at this count has met. */
	private hits = 0;
	private hitsAt = -1;

	constructor(private readonly core: ProcessorCore) {}

	/** True when breakpoint `index` is enabled for this condition. */
	private enabled(index: number, condition: number): boolean {
		const dr7 = this.core.state.i32[DR7]!;
		return ((dr7 >>> (index * 2)) & 3) !== 0 && ((dr7 >>> (16 + index * 4)) & 3) === condition;
	}

	/** Bytes of breakpoint `index`: LEN 0, 1, 2, 3 = 1, 2, 8, 4. */
	private length(index: number): number {
		return [1, 2, 8, 4][(this.core.state.i32[DR7]! >>> (18 + index * 4)) & 3]!;
	}

	/** The breakpoint's address, aligned to its length as the processor does, unsigned. */
	private address(index: number): bigint {
		const address = BigInt.asUintN(64, this.core.state.i64[(State.dr >> 3) + index]!);
		return address & ~BigInt(this.length(index) - 1);
	}

	get hasDataBreakpoints(): boolean {
		for (let index = 0; index < 4; index++)
			if (this.enabled(index, Condition.write) || this.enabled(index, Condition.readWrite)) return true;
		return false;
	}

	/** True when an instruction breakpoint is enabled: the run loop asks executionHits() before each instruction. */
	get hasExecutionBreakpoints(): boolean {
		for (let index = 0; index < 4; index++) if (this.enabled(index, Condition.execute)) return true;
		return false;
	}

	/** DR6 bits of the instruction breakpoints at a linear address; 0 for none. EFLAGS.RF is the caller's to ask. */
	executionHits(linear: bigint): number {
		let hits = 0;
		for (let index = 0; index < 4; index++)
			if (this.enabled(index, Condition.execute) && this.address(index) === linear) hits |= 1 << index;
		return hits;
	}

	watches(linearLow: number, linearHigh: number): number {
		const page = (BigInt(linearHigh >>> 0) << 20n) | BigInt(linearLow >>> 12);
		let kinds = 0;
		for (let index = 0; index < 4; index++) {
			if (this.address(index) >> 12n !== page) continue;
			if (this.enabled(index, Condition.write)) kinds |= WatchedFor.writes;
			if (this.enabled(index, Condition.readWrite)) kinds |= WatchedFor.reads | WatchedFor.writes;
		}
		return kinds;
	}

	accessed(access: WatchedAccess): void {
		const end = access.linear + BigInt(access.size);
		for (let index = 0; index < 4; index++) {
			const watched =
				this.enabled(index, Condition.readWrite) || (access.write && this.enabled(index, Condition.write));
			if (!watched) continue;
			const start = this.address(index);
			if (access.linear < start + BigInt(this.length(index)) && start < end) this.hit(1 << index);
		}
	}

	/** An access to `size` I/O ports (SDM Vol. 3B §17.2.4: needs CR4.DE). */
	portAccessed(port: number, size: number): void {
		const { state } = this.core;
		if ((state.cr4 & Cr4.DE) === 0) return;
		for (let index = 0; index < 4; index++) {
			if (!this.enabled(index, Condition.io)) continue;
			const start = Number(this.address(index));
			if (port < start + this.length(index) && start < port + size) this.requestTrap(1 << index);
		}
	}

	private hit(bit: number): void {
		const now = this.core.retired();
		if (this.hitsAt !== now) this.hits = 0;
		this.hitsAt = now;
		this.hits |= bit & ~this.core.state.i32[Internal.pendingDebug >> 2]!;
		this.requestTrap(bit);
	}

	/** The current instruction faults: data breakpoints are traps, and it will meet them again (SDM Vol. 3B §17.3.1.2). */
	dropHits(): void {
		if (this.hitsAt === this.core.retired()) this.core.state.i32[Internal.pendingDebug >> 2]! &= ~this.hits;
		this.hits = 0;
	}

	/** A debug trap with these DR6 bits is due after the current instruction. */
	requestTrap(bits: number): void {
		this.core.state.i32[Internal.pendingDebug >> 2]! |= bits;
	}

	/** The #DB with these DR6 bits, to be delivered. */
	raise(bits: number): DebugException {
		return new DebugException(bits);
	}

	/** Number of a debug register as the instruction means it. @throws {Fault} #UD, #GP(0), #DB */
	private resolve(number: number): number {
		const { state } = this.core;
		let register = number;
		if (register > 7) throw new Fault(Vector.invalidOpcode);
		if (register === 4 || register === 5) {
			if (state.cr4 & Cr4.DE) throw new Fault(Vector.invalidOpcode);
			register += 2;
		}
		if (state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
		if (state.i32[DR7]! & DR7_GD) throw this.raise(Dr6.BD);
		return register;
	}

	readonly moveFromDebug: Helper = (record) => {
		const { state, operands } = this.core;
		const at = (State.dr >> 2) + this.resolve(operands.register(record, 1)) * 2;
		const size = state.mode64 ? 8 : 4;
		operands.writeRegister(operands.register(record, 0), size, state.i32[at]!, state.i32[at + 1]!);
		return this.core.proceed(record);
	};

	readonly moveToDebug: Helper = (record) => {
		const { state, operands } = this.core;
		const register = this.resolve(operands.register(record, 0));
		const size = state.mode64 ? 8 : 4;
		const low = operands.readRegister(operands.register(record, 1), size);
		const high = size === 8 ? operands.high : 0;
		if (register >= 6 && high !== 0) throw new Fault(Vector.generalProtection, 0);
		this.write(register, low, high);
		// New breakpoints count from the next instruction on: the run loop has to see them.
		return operands.advance(record, register === 7 ? Outcome.exit : this.core.leave());
	};

	/** Writes DR0 to DR3, DR6 or DR7 with its fixed bits, and follows up. */
	write(register: number, low: number, high: number): void {
		const { state } = this.core;
		const at = (State.dr >> 2) + register * 2;
		if (register === 6) low = (low & DR6_WRITABLE) | DR6_ONES;
		if (register === 7) low = (low & DR7_WRITABLE) | DR7_ONES;
		state.i32[at] = low;
		state.i32[at + 1] = high;
		this.onDataBreakpoints(this.hasDataBreakpoints);
	}
}

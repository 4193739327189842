// Pushing onto a stack that is not, or not yet, the current one: gates and inter-privilege calls (SDM Vol. 3A §5.8.5, §6.12.1).

import { Fault, Vector } from "../engine/fault.ts";
import { Access } from "../isa/register-bits.ts";
import { isCanonical, type MemoryAccess } from "./memory-access.ts";
import { PageAccess } from "./paging.ts";

export class StackFrame {
	/** The stack pointer as it stands. */
	low = 0;
	high = 0;

	/**
	 * @param wide 64-bit stack: no segment.
	 * @param faultSelector error code of #SS when there is no room.
	 */
	constructor(
		private readonly memory: MemoryAccess,
		private readonly wide: boolean,
		private readonly access: number,
		private readonly base: number,
		private readonly limit: number,
		/** Privilege level whose rights the pushes have. */
		private readonly cpl: number,
		private readonly faultSelector: number,
	) {}

	/** Pushes `size` bytes. @throws {Fault} #SS without room or not canonical, #PF. */
	push(size: number, value: number, high = 0): void {
		const rights = this.cpl === 3 ? PageAccess.user : 0;
		if (this.wide) {
			const low = ((this.low >>> 0) - size) | 0;
			const upper = this.low >>> 0 < size ? (this.high - 1) | 0 : this.high;
			if (!isCanonical(upper)) throw new Fault(Vector.stackFault, this.faultSelector);
			this.memory.writeLinear(low, upper, size, value, high, rights);
			this.low = low;
			this.high = upper;
			return;
		}
		const mask = this.access & Access.DB ? 0xffffffff : 0xffff;
		const offset = ((this.low - size) & mask) >>> 0;
		const last = offset + size - 1;
		const inside =
			this.access & Access.expandDown
				? offset > this.limit && last <= mask >>> 0
				: last <= this.limit || this.limit === 0xffffffff;
		if (!inside) throw new Fault(Vector.stackFault, this.faultSelector);
		this.memory.writeLinear((this.base + offset) | 0, 0, size, value, high, rights);
		this.low = mask === 0xffff ? (this.low & ~0xffff) | offset : offset | 0;
	}
}

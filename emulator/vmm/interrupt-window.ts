// Virtual interrupts that wait for the guest's IF: translated STI and POPF look at the vCPU block and call the VMM.

import { Area, INTERRUPTS_OFF } from "./layout.ts";
import type { VirtualCpu } from "./virtual-cpu.ts";
import type { VmmMemory } from "./vmm-memory.ts";

const [TF, IF, IOPL] = [0x1, 0x2, 0x30] as const;

export class InterruptWindow {
	/** The guest's interrupt controller asserts INTR. */
	requested = false;
	/** One more instruction retires before the interrupt is taken (SDM Vol. 3A §6.8.3; Vol. 2B, STI). */
	shadow = false;

	constructor(
		private readonly vcpu: VirtualCpu,
		private readonly memory: VmmMemory,
	) {}

	reset(): void {
		this.requested = false;
		this.shadow = false;
		this.writeTables(false);
	}

	/** An interrupt waits: from now on the guest's STI and POPF come to the VMM. */
	notice(): void {
		if (!this.requested || this.vcpu.pendingInterrupt) return;
		this.vcpu.pendingInterrupt = true;
		this.writeTables(true);
	}

	/** The request is gone: taken or withdrawn. */
	clearPending(): void {
		if (!this.vcpu.pendingInterrupt) return;
		this.vcpu.pendingInterrupt = false;
		this.writeTables(false);
	}

	/**
	 * The tables that translated POPF indexes with bits 15:8 of the image: nonzero where the VMM has to do it (TF or IOPL set,
	 * or IF while an interrupt waits), and what VcpuBlock.interruptAdjust becomes.
	 */
	private writeTables(pending: boolean): void {
		for (let image = 0; image < 256; image++) {
			const special = (image & (TF | IOPL)) !== 0 || (pending && (image & IF) !== 0);
			this.memory.write32(Area.popfSpecial + image * 4, special ? 1 : 0);
			this.memory.write32(Area.popfInterruptAdjust + image * 4, image & IF ? 0 : INTERRUPTS_OFF);
		}
	}
}

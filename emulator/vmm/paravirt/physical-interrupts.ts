// The lines of the host's interrupt controllers as Domain 0 has them: each raises an event, and stays closed until the domain says
// that it is done with it. Reference: Xen public header physdev.h.

import type { PhysicalInterrupts } from "./event-channels.ts";
import type { HypercallContext, HypercallResult } from "./hypercall.ts";
import type { Hypervisor } from "./hypervisor.ts";
import { TIMER_LINE } from "./vmm-layout.ts";
import { Errno } from "./xen-abi.ts";

const LINES = 16;
const CASCADE = 2;
/** MAP_PIRQ_TYPE_GSI */
const GSI = 1;
/** XENIRQSTAT_needs_eoi */
const NEEDS_EOI = 1;

const names: Readonly<Record<number, string>> = {
	5: "irq_status_query",
	12: "eoi",
	13: "map_pirq",
	14: "unmap_pirq",
	21: "setup_gsi",
};

export class PhysicalInterruptRouting implements PhysicalInterrupts {
	/** Domain of each line that is bound. */
	private readonly bound = new Map<number, number>();

	constructor(
		private readonly hypervisor: Hypervisor,
		raise: (domain: number, line: number) => boolean,
	) {
		hypervisor.onInterrupt = (line) => {
			const domain = this.bound.get(line);
			if (domain !== undefined) raise(domain, line);
		};
	}

	private usable(line: number): boolean {
		return line < LINES && line !== TIMER_LINE && line !== CASCADE;
	}

	bind(line: number, domain: number): number {
		if (!this.usable(line)) return Errno.EINVAL;
		if (this.bound.has(line)) return Errno.EBUSY;
		this.bound.set(line, domain);
		this.hypervisor.control.maskLine(line, false);
		return 0;
	}

	unbind(line: number, domain: number): void {
		if (this.bound.get(line) !== domain) return;
		this.bound.delete(line);
		this.hypervisor.control.maskLine(line, true);
	}

	/** The domain is gone: its lines close. */
	release(domain: number): void {
		for (const line of this.linesOf(domain)) this.unbind(line, domain);
	}

	linesOf(domain: number): number[] {
		return [...this.bound].filter(([, owner]) => owner === domain).map(([line]) => line);
	}

	/** physdev_op of a privileged domain, the part that is about interrupts. */
	operation(call: HypercallContext, command: number, argument: bigint): HypercallResult {
		call.note("command", names[command] ?? command);
		switch (command) {
			case 5: {
				const view = call.memory.view(argument, 4);
				if (view === undefined) return -Errno.EFAULT;
				if (!this.usable(view.getUint32(0, true))) return -Errno.EINVAL;
				return call.memory.writeWords(argument + 4n, 4, NEEDS_EOI) ? 0 : -Errno.EFAULT;
			}
			case 12: {
				const line = call.memory.view(argument, 4)?.getUint32(0, true);
				if (line === undefined) return -Errno.EFAULT;
				call.note("irq", line);
				if (this.bound.get(line) !== call.domain.id) return -Errno.EINVAL;
				this.hypervisor.control.maskLine(line, false);
				return 0;
			}
			case 13: {
				// struct physdev_map_pirq: domid, type, index, pirq.
				const view = call.memory.view(argument, 16);
				if (view === undefined) return -Errno.EFAULT;
				const index = view.getUint32(8, true);
				if (view.getUint32(4, true) !== GSI || !this.usable(index)) return -Errno.EINVAL;
				const asked = view.getInt32(12, true);
				if (asked >= 0 && asked !== index) return -Errno.EINVAL;
				return call.memory.writeWords(argument + 12n, 4, index) ? 0 : -Errno.EFAULT;
			}
			case 14:
				return 0;
			case 21:
				// The trigger mode of an ISA line cannot be chosen.
				return call.memory.view(argument, 6) === undefined ? -Errno.EFAULT : 0;
			default:
				return -Errno.ENOSYS;
		}
	}
}

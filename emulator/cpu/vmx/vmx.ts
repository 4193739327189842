// Virtual-machine extensions as a part of the processor: everything in this folder wired together.

import type { Fault } from "../../engine/fault.ts";
import type { Helper } from "../../engine/helper.ts";
import { Cr0 } from "../../isa/register-bits.ts";
import type { ControlRegisters } from "../control-registers.ts";
import type { ProcessorCore } from "../core.ts";
import type { EventSource, InterceptedDelivery, InterruptDelivery } from "../interrupt-delivery.ts";
import type { ModelSpecificRegisters } from "../model-specific-registers.ts";
import type { PortIo } from "../port-io.ts";
import type { TaskSwitch, TaskSwitchSource } from "../task-switch.ts";
import { CR0_FIXED0, CR4_FIXED0, capabilityMsrs, Secondary } from "./controls.ts";
import { EventExits } from "./event-exits.ts";
import { ExitReasonNumber } from "./exit-reasons.ts";
import { InstructionExits } from "./instruction-exits.ts";
import type { VirtualApic } from "./virtual-apic.ts";
import { VmExit } from "./vm-exit.ts";
import { VmxInstructions } from "./vmx-instructions.ts";
import { VmxMode, VmxWord } from "./vmx-state.ts";
import { VmxUnit } from "./vmx-unit.ts";

/** Helpers of the rows in isa/integer/vmx.ts. */
export const VMX_HELPERS: readonly string[] = [
	"vmcall",
	"vmclear",
	"vmfunc",
	"vmlaunch",
	"vmptrld",
	"vmptrst",
	"vmread",
	"vmresume",
	"vmwrite",
	"vmxoff",
	"vmxon",
	"invept",
	"invvpid",
];

export interface VmxSurroundings {
	readonly core: ProcessorCore;
	readonly modelSpecific: ModelSpecificRegisters;
	readonly delivery: InterruptDelivery;
	readonly control: ControlRegisters;
	readonly tasks: TaskSwitch;
	readonly ports: PortIo;
	/** Virtual time in ticks of the time-stamp counter. */
	readonly now: () => number;
	/** Bits that CR4 may have. */
	readonly cr4: number;
	readonly onModeSwitch: () => void;
}

/** Sources of a task switch in the exit qualification (SDM Vol. 3C Table 28-2). */
const TASK_SWITCH: Readonly<Record<TaskSwitchSource, number>> = { call: 0, return: 1, jump: 2, interrupt: 3 };
const NOTHING_FIXED = { cr0: 0, cr4: 0 };

export class Vmx {
	readonly unit: VmxUnit;
	readonly events: EventExits;
	private readonly instructions: VmxInstructions;
	private readonly exits: InstructionExits;

	constructor(surroundings: VmxSurroundings) {
		const { core, modelSpecific, delivery, control, tasks, ports, now, cr4 } = surroundings;
		modelSpecific.addConstants(capabilityMsrs(cr4));
		this.unit = new VmxUnit(core, modelSpecific, delivery, now, cr4);
		this.unit.onModeSwitch = surroundings.onModeSwitch;
		this.events = new EventExits(this.unit, () => modelSpecific.localApic?.endOfInterrupt());
		this.instructions = new VmxInstructions(core, this.unit, (address) => modelSpecific.read(address));
		this.exits = new InstructionExits(core, this.unit, this.instructions, control, ports);
		control.fixedByVmx = () => this.fixedBits();
		tasks.onSwitch = (selector, source, eip) => this.taskSwitch(selector, source, eip);
		const { unit, events } = this;
		delivery.interception = {
			get active() {
				return unit.nonRoot;
			},
			intercept: (
				fault: Fault,
				source: EventSource,
				delivering: InterceptedDelivery | undefined,
				instructionLength: number,
			) => events.intercept(fault, source, delivering, instructionLength),
			delivered: () => events.delivered(),
			tripleFault: () => events.tripleFault(),
		};
	}

	get virtualApic(): VirtualApic {
		return this.unit.virtualApic;
	}

	/** In VMX non-root operation: a guest runs. */
	get active(): boolean {
		return this.unit.nonRoot;
	}

	get waitsForSipi(): boolean {
		return this.unit.core.state.i32[VmxWord.waitForSipi >> 2] !== 0;
	}

	reset(): void {
		this.unit.reset();
	}

	restored(): void {
		this.unit.restored();
	}

	/** The processor's helpers with the VMX instructions and, around others, what they do in a guest. */
	wrap(helpers: Readonly<Record<string, Helper>>): Record<string, Helper> {
		const { unit } = this;
		const all: Record<string, Helper> = { ...helpers, ...this.instructions.helpers };
		for (const [name, intercept] of Object.entries(this.exits.intercepts)) {
			const plain = all[name]!;
			all[name] = (record, parameter) =>
				unit.controls === undefined ? plain(record, parameter) : intercept(record, parameter, plain);
		}
		return all;
	}

	/** SDM Vol. 3C §24.8: an unrestricted guest may clear PE and PG. */
	private fixedBits(): { cr0: number; cr4: number } {
		const { unit } = this;
		if (unit.mode === VmxMode.off) return NOTHING_FIXED;
		const free = unit.controls && unit.controls.secondary & Secondary.unrestrictedGuest ? Cr0.PE | Cr0.PG : 0;
		return { cr0: CR0_FIXED0 & ~free, cr4: CR4_FIXED0 };
	}

	/** Every task switch of a guest causes an exit (§26.4.2). */
	private taskSwitch(selector: number, source: TaskSwitchSource, eip: number): void {
		if (!this.active) return;
		const qualification = BigInt(selector) | (BigInt(TASK_SWITCH[source]) << 30n);
		const instruction = source === "interrupt" ? {} : { instructionLength: (eip - this.unit.core.state.eip) & 15 };
		throw new VmExit(ExitReasonNumber.taskSwitch, qualification, instruction);
	}
}

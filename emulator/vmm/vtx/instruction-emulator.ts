// Executes single instructions of the guest for the VMM: device memory, ports, control and model-specific registers, task switches.
//
// It is a processor in software, made of the same isa/ and cpu/ as the host's, with the guest's features and the guest's devices, so that
// no instruction's meaning is written a second time. Its memory is guest-physical memory: the second translation leads every access
// past the end of its own memory, where its bus is the guest's.

import type { EventSource } from "../../cpu/interrupt-delivery.ts";
import type { PortBus } from "../../cpu/port-io.ts";
import { Internal } from "../../cpu/processor-state.ts";
import { PendingDebug } from "../../cpu/vmx/guest-checks.ts";
import type { VmcsMemory } from "../../cpu/vmx/vmcs.ts";
import { ExecutionEngine } from "../../engine/execution-engine.ts";
import { ExitReason } from "../../engine/exit-reason.ts";
import type { RecycledMemory } from "../../engine/physical-memory.ts";
import { Eflags } from "../../isa/register-bits.ts";
import { State } from "../../isa/state.ts";
import type { HostMachine } from "../../machine/host-machine.ts";
import type { GuestPhysicalMemory } from "../guest/guest-physical-memory.ts";
import type { GuestException, GuestMmu } from "./guest-mmu.ts";
import { VirtualProcessor } from "./virtual-processor.ts";

/** Where guest-physical addresses begin in the emulator's physical space: beyond the pages that could have a place in its memory. */
const GUEST_FRAMES = 1 << 20;
const GUEST_BASE = GUEST_FRAMES * 4096;
const MOST_FRAMES = 1 << 27;
const INSTRUCTION_BYTES = 15;
/** Iterations of a repeated instruction before the VMM goes back to the guest: the rest comes after the interrupts. */
const BURST = 4096;
/** Those of them that the engine does before it looks at the instruction anew. */
const AT_ONCE = 1000;

/** An event that the hardware was delivering. */
export interface DeliveringEvent {
	readonly vector: number;
	readonly source: EventSource;
	readonly errorCode: number | undefined;
	readonly instructionLength: number;
}

export interface InstructionEmulatorState {
	readonly state: Uint8Array;
	readonly retired: number;
	readonly executed: number;
	readonly iterations: number;
}

export class InstructionEmulator extends VirtualProcessor {
	private readonly engine: ExecutionEngine;
	/** Guest frames whose instruction bytes lie in the emulator's pages 0 and 1. */
	private readonly fetched: number[] = [];
	private raised: GuestException | undefined;
	private delivers = false;
	/** Instructions executed. */
	executed = 0;
	/** Iterations of repeated instructions beyond the first. */
	iterations = 0;
	/** Told when an instruction has brought the guest into another mode. */
	onModeSwitch: (mode: string, previous: string) => void = () => {};

	constructor(
		host: HostMachine,
		vmcs: VmcsMemory,
		mmu: GuestMmu,
		memory: GuestPhysicalMemory,
		ports: PortBus,
		ferr: () => void,
		recycled?: RecycledMemory,
	) {
		super(host, vmcs, mmu, { ports, ferr, retired: () => this.engine.retired }, recycled);
		const { physical, processor } = this;
		this.engine = new ExecutionEngine(physical, processor.core.tlb, processor);
		physical.bus = {
			read: (address, size) => memory.read(address - GUEST_BASE, size),
			write: (address, size, value) => memory.write(address - GUEST_BASE, size, value),
		};
		processor.core.paging.ept = {
			begin: () => {},
			beginWithoutLinear: () => {},
			tableFrame: (frame) => beyond(frame),
			finalFrame: (frame, offset, _write, fetch) => (fetch ? this.fetch(memory, frame, offset) : beyond(frame)),
			writable: false,
			inspect: (frame) => ({ frame: beyond(frame) }),
		};
		processor.delivery.onEvent = (vector, errorCode, source) => {
			if (this.delivers || source !== "exception") return false;
			this.raised = { vector, ...(errorCode === undefined ? {} : { errorCode }) };
			// The instruction is not to be tried again.
			physical.i32[State.exitReason >> 2] = ExitReason.attention;
			return true;
		};
	}

	/** The page of the emulator's memory with the bytes of the instruction that is fetched at a place of guest memory. */
	private fetch(memory: GuestPhysicalMemory, frame: number, offset: number): number {
		let page = this.fetched.indexOf(frame);
		if (page < 0) page = this.fetched.push(frame) - 1;
		const length = Math.min(INSTRUCTION_BYTES, 4096 - offset);
		// Where there is no memory, all bytes are ones, as on a bus that nobody drives.
		const bytes = memory.peek(frame * 4096 + offset, length) ?? new Uint8Array(length).fill(0xff);
		const at = page * 4096 + offset;
		const known = this.physical.peek(at, length)!;
		if (bytes.some((byte, index) => byte !== known[index])) this.physical.poke(at, bytes);
		return page;
	}

	/** Loads the guest's state for the one instruction that follows: what holds until behind it ends there. */
	override load(): void {
		super.load();
		// An entry counts as an instruction of its own (core.beginInterruptShadow); here none comes before the guest's.
		const { state } = this;
		for (const boundary of [Internal.shadowBoundary, Internal.debugShadowBoundary, Internal.resumeFlagBoundary])
			if (state.internal(boundary) > this.engine.retired) state.setInternal(boundary, state.internal(boundary) - 1);
	}

	/**
	 * Executes the instruction at the guest's RIP. A repeated one may be left in its middle, with RIP where it was.
	 * @returns the exception that it raised, which is to be injected.
	 */
	execute(): GuestException | undefined {
		this.executed++;
		this.load();
		const { state, engine } = this;
		this.raised = undefined;
		this.fetched.length = 0;
		const { rip, modeName } = state;
		const traced = (state.flagsRest & Eflags.TF) !== 0;
		const begin = engine.retired;
		while (engine.retired - begin < BURST) {
			const { retired } = engine;
			engine.executeOne(traced ? 1 : AT_ONCE);
			if (this.raised || engine.retired === retired || state.rip !== rip || traced) break;
			if (state.i32[Internal.activity >> 2] !== 0) break;
		}
		this.iterations += Math.max(0, engine.retired - begin - 1);
		const raised = this.takeRaised();
		if (traced && !raised) state.i32[Internal.pendingDebug >> 2]! |= PendingDebug.singleStep;
		this.store();
		if (state.modeName !== modeName) this.onModeSwitch(state.modeName, modeName);
		return raised;
	}

	private takeRaised(): GuestException | undefined {
		const { raised, state } = this;
		this.raised = undefined;
		return raised && { ...raised, address: BigInt.asUintN(64, state.i64[State.cr2 >> 3]!) };
	}

	/** Registers that exist only here, and counts, for restore(). The rest of the state is loaded for each instruction. */
	save(): InstructionEmulatorState {
		const { executed, iterations, engine } = this;
		return { state: this.state.u8.slice(0, State.end), retired: engine.retired, executed, iterations };
	}

	restore({ state, retired, executed, iterations }: InstructionEmulatorState): void {
		this.state.u8.set(state);
		this.engine.setRetired(retired);
		Object.assign(this, { executed, iterations });
		this.processor.restored();
		this.processor.core.paging.flush();
	}

	/** Delivers an event in software, with all that comes of it. @returns false after a triple fault. */
	deliver(event: DeliveringEvent): boolean {
		this.load();
		this.delivers = true;
		this.fetched.length = 0;
		const { vector, source, errorCode, instructionLength } = event;
		const alive = this.processor.delivery.inject(vector, source, errorCode, instructionLength);
		this.delivers = false;
		if (alive) this.store();
		return alive;
	}
}

/** The emulator's number of a guest frame. */
function beyond(frame: number): number {
	return GUEST_FRAMES + (frame & (MOST_FRAMES - 1));
}

/** The guest frame behind a page of the emulator's physical space. */
export function guestFrameOf(page: number): number {
	return page - GUEST_FRAMES;
}

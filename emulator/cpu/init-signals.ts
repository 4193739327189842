// INIT signals and start-up IPIs, between instructions (SDM Vol. 3A §9.1, Table 9-1; §8.4.2; Vol. 3C §24.8, §26.2).

import type { ProcessorCore } from "./core.ts";
import { ExitReasonNumber } from "./vmx/exit-reasons.ts";
import { VmExit } from "./vmx/vm-exit.ts";
import { VmxMode, VmxWord } from "./vmx/vmx-state.ts";
import type { VmxUnit } from "./vmx/vmx-unit.ts";

/** Words of the state, i32 each, behind those of VMX. */
const InitWord = {
	/** An INIT signal waits to be taken. */
	pending: 0x780,
	/** A start-up IPI waits: its vector + 1. */
	startUp: 0x784,
	/** Outside VMX operation: the processor waits for a start-up IPI. In a guest it is an activity state, VmxWord.waitForSipi. */
	waiting: 0x788,
} as const;

export interface InitSurroundings {
	/** The bootstrap processor, by the BSP flag of IA32_APIC_BASE: it begins at the reset vector. */
	isBootstrap(): boolean;
	/** The processor is as after INIT from now on. */
	initialize(): void;
	/** The processor goes on at page `vector` in real-address mode. */
	startAt(vector: number): void;
}

export class InitSignals {
	constructor(
		private readonly core: ProcessorCore,
		/** Absent when the processor has no VMX. */
		private readonly vmx: VmxUnit | undefined,
		private readonly surroundings: InitSurroundings,
	) {}

	private get(word: number): number {
		return this.core.state.i32[word >> 2]!;
	}

	private set(word: number, value: number): void {
		this.core.state.i32[word >> 2] = value;
	}

	private get inGuest(): boolean {
		return this.vmx?.nonRoot ?? false;
	}

	/** No instruction is executed before a start-up IPI comes; interrupts and NMIs wait. */
	get waits(): boolean {
		return this.get(this.inGuest ? VmxWord.waitForSipi : InitWord.waiting) !== 0;
	}

	/** An INIT signal has come. @param at where the processor's state lies: at 0 while it runs */
	signal(at = 0): void {
		const { i32 } = this.core.state;
		i32[(at + InitWord.pending) >> 2] = 1;
		i32[(at + InitWord.startUp) >> 2] = 0;
	}

	/** A start-up IPI has come: discarded unless the processor waits for it when it comes to it, after an INIT signal that came before. */
	startUp(vector: number, at = 0): void {
		this.core.state.i32[(at + InitWord.startUp) >> 2] = vector + 1;
	}

	/** The processor waits for a start-up IPI: power-on, when it is not the first. */
	awaitStartUp(): void {
		this.set(InitWord.waiting, 1);
	}

	/** Whether take() may have something to do, for a processor whose state lies at `at`. */
	isDue(at: number): boolean {
		const { i32 } = this.core.state;
		return (i32[(at + InitWord.pending) >> 2]! | i32[(at + InitWord.startUp) >> 2]!) !== 0;
	}

	/** `waits`, outside VMX non-root operation, for a processor whose state lies at `at`. */
	waitsAt(at: number): boolean {
		return this.core.state.i32[(at + InitWord.waiting) >> 2] !== 0;
	}

	/**
	 * What is due, before debug traps and NMIs (Vol. 3A Table 6-2). In a guest it causes a VM exit and does nothing else; in VMX root
	 * operation, and while a guest waits for a start-up IPI, INIT is blocked and stays pending.
	 * @returns undefined when nothing is; false after shutdown.
	 */
	take(): boolean | undefined {
		const startUp = this.get(InitWord.startUp);
		const blocked = this.vmx?.mode === VmxMode.root || (this.inGuest && this.waits);
		const initDue = this.get(InitWord.pending) !== 0 && !blocked;
		if (startUp !== 0 && !initDue) {
			this.set(InitWord.startUp, 0);
			if (this.waits) return this.begin(startUp - 1);
		}
		if (!initDue) return undefined;
		const { vmx } = this;
		if (vmx?.nonRoot) {
			this.set(InitWord.pending, 0);
			return vmx.exit(new VmExit(ExitReasonNumber.initSignal), undefined);
		}
		const waits = !this.surroundings.isBootstrap();
		this.surroundings.initialize();
		this.set(InitWord.waiting, waits ? 1 : 0);
		this.set(InitWord.startUp, waits ? startUp : 0);
		return true;
	}

	private begin(vector: number): boolean {
		const { vmx } = this;
		if (vmx?.nonRoot) return vmx.exit(new VmExit(ExitReasonNumber.startUpIpi, BigInt(vector)), undefined);
		this.set(InitWord.waiting, 0);
		this.surroundings.startAt(vector);
		return true;
	}
}

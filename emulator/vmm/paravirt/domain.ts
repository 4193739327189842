// A domain: what the VMM knows of one guest. Its memory is machine frames; its one vCPU runs on the host's processor.

import type { TableOwner } from "./memory/page-tables.ts";
import { Errno } from "./xen-abi.ts";

/** An entry of the trap table: arch-x86/xen.h, struct trap_info. */
export interface TrapEntry {
	readonly selector: number;
	readonly address: bigint;
	/** Lowest privilege that may raise it by INT n. */
	readonly dpl: number;
	/** Events are masked as the handler is entered. */
	readonly masksEvents: boolean;
}

export interface Callback {
	readonly selector: number;
	readonly address: bigint;
	readonly masksEvents: boolean;
}

/** Registers of a guest as an entry into the VMM found them: what the host pushed, or what SYSCALL left. */
export interface GuestFrame {
	rip: bigint;
	cs: number;
	rflags: number;
	rsp: bigint;
	ss: number;
}

export type DomainState = "running" | "runnable" | "blocked" | "crashed" | "shut down";

/** vcpu.h: RUNSTATE_*. */
export const RunState = { running: 0, runnable: 1, blocked: 2, offline: 3 } as const;

/** The state of a domain's vCPU that is not in the host's registers. */
export class VirtualCpu {
	readonly traps: (TrapEntry | undefined)[] = new Array(256).fill(undefined);
	eventCallback: Callback | undefined;
	failsafeCallback: Callback | undefined;
	syscallCallback: Callback | undefined;
	/** Level-4 table of the kernel (64-bit), or the level-3 table (32-bit). -1: none. */
	root = -1;
	/** Level-4 table of user mode; -1: none. Only 64-bit guests have one. */
	userRoot = -1;
	/** 64-bit: kernel and user mode are both in ring 3, so the VMM remembers which one it is. 32-bit: not used. */
	inKernel = true;
	kernelSs = 0;
	kernelSp = 0n;
	gdtFrames: number[] = [];
	ldtBase = 0n;
	ldtEntries = 0;
	/** Frames whose descriptors are mapped in the LDT area now, by page. */
	readonly ldtFrames: number[] = new Array(16).fill(-1);
	/** What the guest believes CR0.TS to be. */
	taskSwitched = false;
	cr4 = 0;
	iopl = 0;
	readonly debugRegisters: bigint[] = [0n, 0n, 0n, 0n, 0n, 0n, 0xffff0ff0n, 0x400n];
	/** GS base of the mode that is not running: what SWAPGS would bring. */
	otherGsBase = 0n;
	/** Where struct vcpu_info lies: frame, and offset in it. */
	infoFrame = -1;
	infoOffset = 0;
	/** Guest-linear address of struct vcpu_runstate_info; 0: not registered. */
	runStateArea = 0n;
	runState: number = RunState.runnable;
	/** Virtual time since when it is in that state, and the time spent in each before. */
	runStateSince = 0;
	readonly runStateTimes = [0, 0, 0, 0];
	/** SCHEDOP_poll: any event wakes it although events are masked. */
	polling = false;
	pollAlarm: { cancel(): void } | undefined;
	/** Linear address of the start info, which the kernel finds in RSI. */
	startInfo = 0n;
	/** Registers while another domain runs. */
	readonly frame: GuestFrame = { rip: 0n, cs: 0, rflags: 0, rsp: 0n, ss: 0 };
	saved: Uint8Array | undefined;
}

export class Domain implements TableOwner {
	readonly vcpu = new VirtualCpu();
	state: DomainState = "runnable";
	/** Why it crashed or shut down, in words. */
	ending = "";
	/** Frames that it has. */
	pages = 0;
	/** Machine frame of each pseudo-physical page as the machine-to-physical table has it; -1: none. */
	readonly physicalToMachine: number[] = [];
	sharedInfoFrame = -1;
	/** Level-4 table that the VMM keeps for a 32-bit domain; the guest's level-3 table hangs in slot 0. */
	monitorRoot = -1;
	/** Level-1 table of the per-domain area, and the level-3 table that leads to it. */
	perDomainL1 = -1;
	perDomainL3 = -1;
	/** sched.h, SHUTDOWN_*; -1: it has not shut down by itself. */
	shutdownReason = -1;
	/** vm_assist types that are on. */
	assists = 0;
	/** What the start info says of xenstore and console: machine frame and event-channel port. */
	store = { frame: 0, port: 0 };
	console = { frame: 0, port: 0 };
	/** Called when the domain has shut down or crashed, for its parts elsewhere (event channels, grants). */
	readonly onEnd: (() => void)[] = [];

	fillXenSlots: (frame: number) => void = () => {};
	fillCompatSlots: (frame: number) => void = () => {};
	frameFreed: (frame: number) => void = () => {};

	constructor(
		readonly id: number,
		readonly name: string,
		readonly wide: boolean,
		readonly privileged: boolean,
		/** Quota: frames that it may have. */
		public maximumPages: number,
	) {}

	/** Bytes of a long, and of a pointer, of the guest. */
	get longBytes(): 4 | 8 {
		return this.wide ? 8 : 4;
	}

	get ended(): boolean {
		return this.state === "crashed" || this.state === "shut down";
	}

	/** The guest's kernel runs now, given the selector that it runs with. */
	kernelMode(cs: number): boolean {
		return this.wide ? this.vcpu.inKernel : (cs & 3) === 1;
	}
}

/** A negative errno as a hypercall's result. */
export function failure(name: keyof typeof Errno): number {
	return -Errno[name];
}

// Which domain runs: round robin by slices of virtual time, in the order of their numbers, so that the same input gives the same run.

import type { ProcessorState } from "../../cpu/processor-state.ts";
import { Segment, State } from "../../isa/state.ts";
import { type Domain, RunState } from "./domain.ts";
import type { Hypervisor } from "./hypervisor.ts";
import { GuestSelector } from "./xen-abi.ts";

/** Nanoseconds after which another runnable domain has its turn. */
const SLICE = 10_000_000;
/** Parts of the processor's state that belong to whoever runs, [start, end): general registers, x87, SSE, debug registers, segments of data. */
const PARTS: readonly (readonly [number, number])[] = [
	[State.gpr, State.zero],
	[State.xmm, State.mxcsr + 4],
	[State.dr, State.gdtrBase],
];
const BYTES = PARTS.reduce((sum, [start, end]) => sum + end - start, 0);
const RSI = 6;
const DATA_SEGMENTS = [Segment.es, Segment.ds, Segment.fs, Segment.gs] as const;

interface SavedSegment {
	readonly selector: number;
	readonly access: number;
	readonly base: bigint;
	readonly limit: number;
}

export class Scheduler {
	current: Domain | undefined;
	/** Someone else may have to run. */
	wanted = true;
	private sliceEnds = 0;
	private alarm: { cancel(): void } | undefined;
	private readonly segments = new Map<Domain, SavedSegment[]>();

	constructor(private readonly hypervisor: Hypervisor) {}

	private runnable(domain: Domain): boolean {
		return domain.state === "runnable" || domain.state === "running";
	}

	/** A domain can run again. */
	wake(domain: Domain): void {
		if (domain.state !== "blocked") return;
		this.change(domain, "runnable", RunState.runnable);
		this.wanted = true;
		this.hypervisor.attention();
	}

	block(domain: Domain): void {
		if (domain.ended) return;
		this.change(domain, "blocked", RunState.blocked);
		this.wanted = true;
	}

	/** The rest of the slice is given up. */
	yield(): void {
		this.sliceEnds = 0;
		this.wanted = true;
	}

	private change(domain: Domain, state: Domain["state"], runState: number): void {
		const { vcpu } = domain;
		const now = this.hypervisor.host.now();
		vcpu.runStateTimes[vcpu.runState]! += now - vcpu.runStateSince;
		vcpu.runState = runState;
		vcpu.runStateSince = now;
		domain.state = state;
	}

	/** The domain that runs now, its registers in the host's; undefined when none can. */
	choose(): Domain | undefined {
		const { current, hypervisor } = this;
		const now = hypervisor.host.now();
		const stays = current !== undefined && this.runnable(current);
		if (stays && (!this.wanted || now < this.sliceEnds)) return current;
		this.wanted = false;
		const next = this.next();
		if (next !== current) this.switchTo(next);
		if (next) this.beginSlice(now);
		return next;
	}

	private next(): Domain | undefined {
		const domains = [...this.hypervisor.domains.values()].sort((a, b) => a.id - b.id);
		const from = this.current === undefined ? -1 : domains.indexOf(this.current);
		for (let step = 1; step <= domains.length; step++) {
			const domain = domains[(from + step + domains.length) % domains.length]!;
			if (this.runnable(domain)) return domain;
		}
		return undefined;
	}

	private beginSlice(now: number): void {
		const { hypervisor } = this;
		this.sliceEnds = now + SLICE;
		this.alarm?.cancel();
		this.alarm = undefined;
		if ([...hypervisor.domains.values()].filter((domain) => !domain.ended).length < 2) return;
		this.alarm = hypervisor.host.clock.at(this.sliceEnds, () => {
			this.wanted = true;
			hypervisor.attention();
		});
	}

	private switchTo(next: Domain | undefined): void {
		const { hypervisor, current } = this;
		const { control, frame } = hypervisor;
		const { state } = control;
		if (current) {
			if (current.state === "running") this.change(current, "runnable", RunState.runnable);
			const { vcpu } = current;
			const saved = (vcpu.saved ??= new Uint8Array(BYTES));
			let at = 0;
			for (const [start, end] of PARTS) {
				saved.set(state.u8.subarray(start, end), at);
				at += end - start;
			}
			Object.assign(vcpu.frame, frame);
			this.segments.set(
				current,
				DATA_SEGMENTS.map((segment) => ({
					selector: state.selector(segment),
					access: state.access(segment),
					base: state.base(segment),
					limit: state.limit(segment),
				})),
			);
		}
		this.current = next;
		if (next === undefined) return;
		const { vcpu } = next;
		this.restoreInto(next, state);
		Object.assign(frame, vcpu.frame);
		this.change(next, "running", RunState.running);
		hypervisor.guestMemory.domain = next;
		control.loadDomainRoot(next);
		control.loadLocalDescriptorTable(vcpu.ldtEntries);
		control.setTaskSwitched(vcpu.taskSwitched);
		hypervisor.updateRunState(next);
	}

	/** Registers of a domain that does not run, into a processor's state. */
	restoreInto(domain: Domain, state: ProcessorState): void {
		const { saved } = domain.vcpu;
		if (saved === undefined) {
			this.beginRegisters(domain, state);
			return;
		}
		let at = 0;
		for (const [start, end] of PARTS) {
			state.u8.set(saved.subarray(at, at + end - start), start);
			at += end - start;
		}
		this.segments.get(domain)?.forEach(({ selector, access, base, limit }, index) => {
			const low = Number(BigInt.asIntN(32, base));
			state.setSegment(DATA_SEGMENTS[index]!, selector, access, low, Number(BigInt.asIntN(32, base >> 32n)), limit | 0);
		});
	}

	/** Registers of a vCPU that has not run yet: all zero but the pointer to the start info; x87 and SSE as FNINIT leaves them. */
	private beginRegisters(domain: Domain, state: ProcessorState): void {
		for (const [start, end] of PARTS) state.u8.fill(0, start, end);
		state.setGpr64(RSI, BigInt.asIntN(64, domain.vcpu.startInfo));
		state.i32[State.x87Control >> 2] = 0x37f;
		state.i32[State.mxcsr >> 2] = 0x1f80;
		state.i64[(State.dr + 6 * 8) >> 3] = 0xffff0ff0n;
		state.i64[(State.dr + 7 * 8) >> 3] = 0x400n;
		for (const segment of DATA_SEGMENTS) {
			if (domain.wide) state.setNullSegment(segment, 0);
			else state.setSegment(segment, GuestSelector.compatRing1Data, 0xc0b3, 0, 0, -1);
		}
	}
}

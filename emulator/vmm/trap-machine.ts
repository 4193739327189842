// `--vmm trap --mmu shadow`: the guest's kernel runs as it is in ring 1, on shadow page tables and shadow descriptors. What
// traps is emulated; what does not and runs wrongly is reported.

import type { HostStop } from "../machine/host-machine.ts";
import type { MachineConfiguration, MachineStatistics, Stop, VirtualMachine } from "../machine/virtual-machine.ts";
import { DeprivilegedMachine } from "./deprivileged-machine.ts";
import { VCPU } from "./hosted-machine.ts";
import { Monitor, type MonitorSurroundings } from "./monitor.ts";
import { DirectExecution } from "./trap/direct-execution.ts";
import { sensitiveCodes } from "./trap/sensitive-instructions.ts";
import { type Misbehaviour, SensitiveObserver } from "./trap/sensitive-observer.ts";

export class TrapMachine extends DeprivilegedMachine<DirectExecution> implements VirtualMachine {
	readonly technique = "trap";
	private sensitive!: SensitiveObserver;

	/** @throws {MachineError} when the image cannot be started. */
	constructor(configuration: MachineConfiguration) {
		super(configuration);
		this.start();
	}

	protected makeMonitor(surroundings: MonitorSurroundings): Monitor<DirectExecution> {
		const { memory } = this.configuration;
		return new Monitor(this.host, memory, surroundings, true, (monitor) => new DirectExecution(monitor));
	}

	protected attached(): void {
		this.sensitive = new SensitiveObserver(this.monitor);
		this.host.engine.code.setInstructionStops(sensitiveCodes);
	}

	/** Breakpoints are passed by `runHost`, which has to look at sensitive instructions in the same place. */
	protected override passBreakpoint(): void {
		this.passed = this.monitor.holdsGuestRegisters ? -1 : this.vcpu.view.eip;
	}

	protected override runHost(instructions: number): HostStop | undefined {
		const stop = this.host.run(instructions);
		if (stop?.kind !== "breakpoint") return stop;
		if (this.passed !== this.vcpu.view.eip && this.breakpoints.hits(this.vcpu, this.pcpu)) return stop;
		const { retired } = this.host.engine;
		const entered = this.runObserved();
		if (this.host.engine.retired > retired) this.passed = -1;
		return entered;
	}

	/** After a hidden page fault the host stands at the same instruction, which has not been passed. */
	protected override advance(instructions: number): Stop | undefined {
		const stop = super.advance(instructions);
		if (this.passed >= 0 && this.vcpu.view.eip !== this.passed) this.passed = -1;
		return stop;
	}

	/** One instruction, of which it is noted when it gives the guest something else than the bare machine. */
	private runObserved(): HostStop | undefined {
		const { engine } = this.host;
		const observation = this.sensitive.begin();
		engine.passBreakpoint();
		const { retired } = engine;
		const stop = this.host.run(1);
		const found = engine.retired > retired ? observation?.compare() : undefined;
		if (found) this.misbehaved(found);
		return stop;
	}

	private misbehaved({ address, instruction, got, hardware }: Misbehaviour): void {
		this.events.record("misbehaviour", instruction, VCPU, address, [
			{ name: "got", value: got },
			{ name: "hardware", value: hardware },
		]);
		if (this.filters.length === 0) return;
		const where = `0x${address.toString(16).padStart(8, "0")}`;
		this.event(
			"misbehaviour",
			`${instruction} at ${where} did not trap and ran wrongly: the guest got ${got}; the hardware would have given ${hardware}.`,
			{ address },
		);
	}

	statistics(): MachineStatistics {
		const { kernel, statistics } = this.monitor;
		const byCount = (counts: ReadonlyMap<string, number>) =>
			Object.fromEntries([...counts].sort(([a, x], [b, y]) => y - x || a.localeCompare(b)));
		const traps = [...kernel.traps.values()].reduce((sum, count) => sum + count, 0);
		return {
			...this.hostStatistics(),
			traps: { total: traps, byInstruction: byCount(kernel.traps), directExecution: statistics.directExecution },
			misbehaviours: { total: this.sensitive.total, byInstruction: byCount(this.sensitive.counts) },
			...this.monitorStatistics(),
		};
	}
}

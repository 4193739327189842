// `--vmm pv`: guests that know the hypervisor run on it side by side, as domains. The host's devices are Domain 0's; a single
// domain is given none but the hypervisor's console.

import { DmaWatchpoints } from "../../machine/dma-watchpoints.ts";
import { sha256 } from "../../machine/hash.ts";
import type { HostStop } from "../../machine/host-machine.ts";
import type { DomainsView } from "../../machine/hypervisor-views.ts";
import {
	type Address,
	type ExecutionBreakpoint,
	type MachineConfiguration,
	MachineError,
	type MachineStatistics,
	type Processor,
	type StepOptions,
	type Stop,
	type VirtualMachine,
	type Watchpoint,
} from "../../machine/virtual-machine.ts";
import { WatchpointSet } from "../../machine/watchpoint-set.ts";
import { belongsTo, HostedBreakpoints } from "../hosted-breakpoints.ts";
import { HostedMachine, PCPU, VCPU } from "../hosted-machine.ts";
import { type Domain, failure } from "./domain.ts";
import { DomainBuilder, type DomainFiles } from "./domain-builder.ts";
import { DomainProcessor } from "./domain-processor.ts";
import { DomainServices } from "./domain-services.ts";
import { Domains } from "./domains-view.ts";
import { HostProcessor } from "./host-processor.ts";
import { InformationHypercalls } from "./hypercalls/information-hypercalls.ts";
import { MemoryHypercalls } from "./hypercalls/memory-hypercalls.ts";
import { PageTableHypercalls } from "./hypercalls/page-table-hypercalls.ts";
import { ProcessorHypercalls } from "./hypercalls/processor-hypercalls.ts";
import { SchedulingHypercalls } from "./hypercalls/scheduling-hypercalls.ts";
import { Hypervisor } from "./hypervisor.ts";
import { type PvImage, parsePvImage } from "./pv-image.ts";
import { ShutdownReason } from "./xen-abi.ts";
import { describeDisk } from "./xenstore/domain-nodes.ts";

/** Machine memory beyond the domains': the hypervisor's tables, and what lies below its first frame. */
const OVERHEAD = 8 << 20;
/** Host instructions and entries of one guest instruction at most. */
const STEP_LIMIT = 100_000;
/** Number of the domain that the image is started in. */
const GUEST = 1;
/** Memory of Domain 0, beside the guest's. */
const DOMAIN0_BYTES = 16 << 20;
/** The serial port that people see. */
const COM1 = 0x3f8;
/** Typed bytes that wait for a domain that does not read them. */
const MOST_TYPED = 1 << 16;

export class ParavirtualMachine extends HostedMachine implements VirtualMachine {
	readonly technique = "pv";
	hypervisor!: Hypervisor;
	information!: InformationHypercalls;
	scheduling!: SchedulingHypercalls;
	services!: DomainServices;
	readonly domains: DomainsView = new Domains(
		() => this.hypervisor,
		() => this.services,
	);
	private image: PvImage | undefined;
	private vcpus: DomainProcessor[] = [];
	private pcpu!: HostProcessor;
	private readonly breakpoints = new HostedBreakpoints();
	private watched: readonly Watchpoint[] = [];
	private readonly watchpoints = new WatchpointSet((watchpoint, access) => {
		if (!belongsTo(watchpoint.address, this.currentVcpu)) return;
		this.stopAt({
			reason: "watchpoint",
			processor: this.currentVcpu.id,
			id: watchpoint.id,
			access: access.write ? "write" : "read",
			address:
				watchpoint.address.space === "lin"
					? { space: "lin", value: access.linear }
					: { space: "hpa", value: BigInt(access.physical) },
			length: access.size,
			...(access.oldValue === undefined ? {} : { oldValue: access.oldValue }),
			...(access.newValue === undefined ? {} : { newValue: access.newValue }),
			instruction: this.pcpu.linearInstructionPointer(),
		});
	});
	private readonly dmaWatchpoints = new DmaWatchpoints({
		physical: (address) => this.machineAddress(address),
		instruction: () => this.currentVcpu.linearInstructionPointer(),
		hit: (stop) => this.stopAt(stop),
	});

	/** @throws {MachineError} when the image cannot be started. */
	constructor(configuration: MachineConfiguration) {
		super(configuration);
		this.start();
	}

	protected start(): void {
		const { configuration } = this;
		if (!configuration.image)
			throw new MachineError('The technique "pv" starts a paravirtual kernel: name its image, or choose "none".');
		// Decompressed once, however often the machine is reset.
		this.image ??= parsePvImage(configuration.image);
		const { image } = this;
		const domain0 = this.domain0Image();
		const memory = configuration.memory + (domain0 ? DOMAIN0_BYTES : 0);
		this.makeSharedHost(memory + OVERHEAD + Math.ceil(memory / 256 / 4096) * 4096);
		this.hypervisor = new Hypervisor(this.host, {
			event: (event, description, facts) => {
				const stop = this.eventStop(event, this.currentVcpu.id, description(), facts);
				if (stop) this.stopAt(stop);
				return stop !== undefined;
			},
			record: (kind, reason, instruction, detail) =>
				this.events.record(kind, reason, this.currentVcpu.id, instruction, detail),
			domainEnded: (domain) => this.domainEnded(domain),
			halted: () => this.endHalted(),
		});
		const { hypervisor } = this;
		this.information = new InformationHypercalls(hypervisor);
		this.scheduling = new SchedulingHypercalls(hypervisor);
		this.startServices();
		for (const part of [
			new PageTableHypercalls(hypervisor),
			new ProcessorHypercalls(hypervisor),
			new MemoryHypercalls(hypervisor),
			this.scheduling,
			this.information,
			this.services,
		])
			hypervisor.hypercalls.registerAll(part.handlers);
		this.pcpu = new HostProcessor(hypervisor, this.remapping);
		this.vcpus = [];
		const guest = this.addDomain(GUEST, "domain 1", image.wide, false, configuration.memory / 4096);
		this.build(guest, image, configuration);
		if (domain0) {
			const driver = this.addDomain(0, "domain 0", domain0.wide, true, DOMAIN0_BYTES / 4096);
			this.build(driver, domain0, { append: configuration.domain0Append });
			describeDisk(this.services.store, GUEST, 0, 0, this.disks[0]!.name);
		}
		hypervisor.start();
		// Building domains is no guest's doing.
		this.workSeen = hypervisor.tables.work;
		this.breakpoints.install(this.host.engine);
		this.dmaWatchpoints.attach(this.host.devices.optional?.path);
		this.setWatchpoints(this.watched);
	}

	/** The kernel of Domain 0, when the devices are its. @throws {MachineError} */
	private domain0Image(): PvImage | undefined {
		const { io, domain0, disks } = this.configuration;
		if (io !== "split") return undefined;
		if (domain0 === undefined)
			throw new MachineError('With "io": "split" Domain 0 drives the devices: name its kernel in "domain0".');
		if (disks?.length !== 1)
			throw new MachineError(
				`With "io": "split" Domain 0 serves one disk, not ${disks?.length ?? 0}: name an image with "--disk" or in "disks".`,
			);
		return parsePvImage(domain0);
	}

	private build(domain: Domain, image: PvImage, files: DomainFiles): void {
		const builder = new DomainBuilder(this.hypervisor, domain, image);
		builder.build(files);
		this.services.connect(domain);
		builder.finish();
	}

	private addDomain(id: number, name: string, wide: boolean, privileged: boolean, pages: number): Domain {
		const domain = this.hypervisor.createDomain(id, name, wide, privileged, pages);
		// Number 2 is the physical CPU's.
		const number = this.vcpus.length === 0 ? VCPU : PCPU + this.vcpus.length;
		this.vcpus.push(new DomainProcessor(number, this.hypervisor, domain));
		this.services.addDomain(domain);
		return domain;
	}

	/** Event channels, grants, xenstore, consoles and timers, and the places where hypercalls lead to them. */
	private startServices(): void {
		const { hypervisor, information, scheduling } = this;
		const { ports } = this.host.devices;
		const services = new DomainServices(hypervisor, (byte) => ports.write(COM1, 1, byte));
		this.services = services;
		scheduling.timers = (call, command, argument) => services.vcpuTimers(call, command, argument) ?? failure("ENOSYS");
		scheduling.isPending = (domain, port) => services.channels.isPending(domain.id, port);
		scheduling.infoMoved = (domain) => services.channels.signalAfterMove(domain.id);
		information.interrupts = (call, command, argument) => services.interrupts.operation(call, command, argument);
	}

	/** What is typed goes to the console of the guest. */
	override serialInput(bytes: Uint8Array): void {
		this.services.consoleInput(this.vcpus[0]!.domain, bytes);
		// A domain without a console ring reads it by console_io.
		const { input } = this.information;
		for (const byte of bytes.subarray(0, Math.max(0, MOST_TYPED - input.length))) input.push(byte);
	}

	/** The vCPU that the host runs, or the first. */
	private get currentVcpu(): DomainProcessor {
		return this.vcpus.find(({ domain }) => domain === this.hypervisor.current) ?? this.vcpus[0]!;
	}

	private domainEnded(domain: Domain): void {
		const what = domain.state === "crashed" ? "crashed" : "shut down";
		this.events.record("exception", `domain ${what}`, this.currentVcpu.id, this.hypervisor.frame.rip, [
			{ name: "domain", value: domain.id },
			{ name: "why", value: domain.ending },
		]);
		const { domains } = this.hypervisor;
		// Without its guest, Domain 0 has nothing to do.
		if (domain.id === GUEST && domain.shutdownReason !== ShutdownReason.reboot) {
			this.endHalted();
			return;
		}
		if (domain.shutdownReason === ShutdownReason.reboot) {
			this.resetAsked = true;
			this.host.stop({ kind: "requested" });
			return;
		}
		if ([...domains.values()].some((other) => !other.ended)) {
			if (domain.state === "crashed")
				this.information.write(new TextEncoder().encode(`(hypervisor) ${domain.name} crashed: ${domain.ending}\n`));
			return;
		}
		this.endHalted();
	}

	/** Nothing runs any more. */
	private endHalted(): void {
		const domains = this.vcpus.map(({ domain }) => domain);
		const crashed = domains.find(({ state }) => state === "crashed");
		const guest = domains[0]!;
		if (guest.ended && guest.state !== "crashed") this.end({ reason: "poweroff" });
		else if (crashed) {
			const waits = guest.ended ? "" : `; ${guest.name} waits for an event that nothing can raise`;
			this.end({ reason: "halted", description: `${crashed.name} crashed: ${crashed.ending}${waits}.` });
		} else
			this.end({
				reason: "halted",
				description: "Every domain waits for an event, and nothing that is pending can raise one.",
			});
	}

	processors(): Processor[] {
		const [first, ...others] = this.vcpus;
		return [first!, ...others, this.pcpu];
	}

	protected beforeRun(pass: boolean): void {
		if (pass) this.host.engine.passBreakpoint();
	}

	/** Page-table work seen by workDone(). */
	private workSeen = 0;

	/** A hypercall may check thousands of entries: a guest that makes many must not keep the caller waiting. */
	protected override workDone(): number {
		const { work } = this.hypervisor.tables;
		const done = Math.max(0, work - this.workSeen);
		this.workSeen = work;
		return done >> 4;
	}

	protected afterRun(): Stop | undefined {
		// The last instruction may have led into the hypervisor, which takes no time.
		return this.entered() ? this.advanceOrEnd(1) : undefined;
	}

	/** The host has entered the hypervisor, which has not seen it yet. */
	private entered(): boolean {
		const { hypervisor } = this;
		return !hypervisor.inside && hypervisor.current !== undefined && this.host.processor.core.state.cpl === 0;
	}

	protected advance(instructions: number): Stop | undefined {
		const { hypervisor } = this;
		if (this.resetAsked) {
			this.start();
			return undefined;
		}
		if (hypervisor.suspended) hypervisor.proceed();
		else {
			const stop = this.host.run(instructions);
			if (stop?.kind === "host-entry") hypervisor.enter();
			else if (stop) return this.conclude(stop);
		}
		return this.conclude(undefined);
	}

	private conclude(stop: HostStop | undefined): Stop | undefined {
		const pending = this.takePending();
		if (pending) return pending;
		if (this.ended) return this.ended;
		switch (stop?.kind) {
			case "breakpoint": {
				const hit = this.breakpoints.hits(this.pcpu, this.currentVcpu);
				if (hit) return hit;
				this.host.engine.passBreakpoint();
				return undefined;
			}
			case "shutdown":
				throw new Error("The host shut down: the hypervisor's own tables are broken.");
			case "poweroff":
				this.end({ reason: "poweroff" });
				return this.ended;
			case "debug-exit":
				this.end({ reason: "debug-exit", value: stop.value });
				return this.ended;
			case "halted":
				this.endHalted();
				return this.ended;
			default:
				return undefined;
		}
	}

	step(processor: number, options: StepOptions = {}): Stop {
		if (this.ended) return this.ended;
		const vcpu = this.vcpus.find(({ id }) => id === processor);
		if (vcpu === undefined && processor !== PCPU)
			throw new MachineError(
				`There is no processor ${processor}: 2 is the physical CPU, the others are vCPUs of domains.`,
			);
		const { hypervisor, host } = this;
		// A blocked domain has no instruction to step: it goes on to the event that wakes it.
		const { current } = hypervisor;
		const stands = current !== undefined && (vcpu === undefined || vcpu.domain === current);
		const held = !options.takeInterrupts && stands;
		host.holdInterrupts = hypervisor.holdInterrupts = held;
		try {
			for (let tries = 0; tries < STEP_LIMIT; tries++) {
				const { retired } = host.engine;
				const at = this.currentVcpu.linearInstructionPointer();
				host.engine.passBreakpoint();
				const stop = this.advanceOrEnd(1) ?? (this.entered() ? this.advanceOrEnd(1) : undefined);
				if (stop) return stop;
				if (hypervisor.current === undefined && held) break;
				if (vcpu !== undefined && hypervisor.current !== vcpu.domain) continue;
				// The hypervisor lets an instruction through once and takes it up again.
				if (hypervisor.pageTableWrites.isOpen) continue;
				if (host.engine.retired !== retired || this.currentVcpu.linearInstructionPointer() !== at) break;
			}
			return { reason: "step", processor };
		} finally {
			host.holdInterrupts = hypervisor.holdInterrupts = false;
			hypervisor.attention();
		}
	}

	setExecutionBreakpoints(breakpoints: readonly ExecutionBreakpoint[]): void {
		this.breakpoints.set(breakpoints);
		this.breakpoints.install(this.host.engine);
	}

	private machineAddress({ space, value, processor }: Address): bigint | undefined {
		const vcpu = this.vcpus.find(({ id }) => id === processor) ?? this.currentVcpu;
		if (space === "lin") return vcpu.translate(value, "hpa");
		if (space !== "gpa") return value;
		const frame = vcpu.domain.physicalToMachine[Number(value >> 12n)] ?? -1;
		return frame < 0 ? undefined : BigInt(frame) * 4096n + (value & 0xfffn);
	}

	setWatchpoints(watchpoints: readonly Watchpoint[]): void {
		this.watched = watchpoints;
		this.dmaWatchpoints.set(watchpoints);
		// Pseudo-physical addresses are the hardware's where the page lies now.
		const ofProcessor = watchpoints
			.filter(({ by, address }) => by !== "dma" && address.space !== "iova")
			.map((watchpoint) => {
				if (watchpoint.address.space !== "gpa") return watchpoint;
				const machine = this.machineAddress(watchpoint.address);
				return { ...watchpoint, address: { space: "hpa" as const, value: machine ?? -1n } };
			});
		this.watchpoints.set(ofProcessor);
		this.host.processor.setWatches(ofProcessor.length > 0 ? [this.watchpoints] : []);
	}

	statistics(): MachineStatistics {
		const { hypervisor } = this;
		const { statistics, hypercalls, pageTableWrites } = hypervisor;
		return {
			...this.hostStatistics(),
			hypercalls: Object.fromEntries([...hypercalls.counts].sort((a, b) => b[1] - a[1])),
			mmu: { trueFaults: statistics.trueFaults, traceWrites: pageTableWrites.count },
			interrupts: { delivered: statistics.upcalls },
			pv: { fastTraps: statistics.fastTraps, emulated: statistics.emulated },
		};
	}

	/** Of the pseudo-physical memory of all domains, in their order. */
	memoryHash(): string {
		const parts: Uint8Array[] = [];
		for (const { domain } of this.vcpus) {
			const bytes = new Uint8Array(domain.physicalToMachine.length * 4096);
			domain.physicalToMachine.forEach((frame, page) => {
				if (frame !== undefined && frame >= 0) bytes.set(this.hypervisor.memory.bytes(frame), page * 4096);
			});
			parts.push(bytes);
		}
		const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
		let at = 0;
		for (const part of parts) {
			whole.set(part, at);
			at += part.length;
		}
		return sha256(whole);
	}
}

// Event channels with the two-level ABI: pending and mask bits lie in the shared_info page of each domain, where guest and
// hypervisor both change them. References: Xen public headers event_channel.h and xen.h (struct shared_info, vcpu_info).

import type { PhysicalMemory } from "../../engine/physical-memory.ts";
import type { DomainView } from "../../machine/hypervisor-views.ts";
import { Domid, Errno } from "./xen-abi.ts";

/** What an event channel needs of a domain. */
export interface EventDomain {
	readonly id: number;
	/** sizeof(xen_ulong_t) of its kernel. */
	readonly wordBytes: 4 | 8;
	/** May bind physical interrupts and speak of other domains' channels. */
	readonly privileged: boolean;
	/** Host-physical address of its shared_info page. */
	readonly sharedInfo: number;
	/** Host-physical address of the vcpu_info of its only vCPU; the guest can move it. */
	vcpuInfo(): number;
	/** evtchn_upcall_pending was set: a blocked vCPU wakes, a running one takes the upcall when it lets it. */
	upcallPending(): void;
	/** The pending bit of a port was set, masked or not: SCHEDOP_poll may wait for it. */
	portPending(port: number): void;
}

/** Physical interrupts as the hypervisor routes them to Domain 0. */
export interface PhysicalInterrupts {
	/** 0, or an error number (positive) when the line is not to be had. */
	bind(pirq: number, domain: number): number;
	unbind(pirq: number, domain: number): void;
}

export type ServiceName = "xenstore" | "console";

type Channel =
	| { kind: "unbound"; remote: number }
	| { kind: "interdomain"; remote: number; remotePort: number }
	| { kind: "pirq"; pirq: number }
	| { kind: "virq"; virq: number }
	| { kind: "ipi" }
	/** The other end is a service of the hypervisor, which a guest sees as a port of Domain 0. */
	| { kind: "service"; service: ServiceName; notify: () => void };

interface DomainChannels {
	readonly domain: EventDomain;
	readonly channels: Map<number, Channel>;
}

/** xen.h, enum virq. */
const virqNames = ["TIMER", "DEBUG", "CONSOLE", "DOM_EXC", "TBUF", "5", "DEBUGGER", "XENOPROF", "CON_RING"];
const NR_VIRQS = 24;
/** event_channel.h, EVTCHNSTAT_*. */
const status = { closed: 0, unbound: 1, interdomain: 2, pirq: 3, virq: 4, ipi: 5, service: 2 } as const;

/** Offsets in struct vcpu_info. */
const UPCALL_PENDING = 0;
/** struct shared_info: 32 vcpu_info of 64 bytes, then the pending words and as many mask words. */
const PENDING = 32 * 64;

/** What EVTCHNOP_status says. */
export interface ChannelStatus {
	readonly status: number;
	readonly remote?: number;
	readonly remotePort?: number;
	readonly line?: number;
}

export class EventChannels {
	private readonly domains = new Map<number, DomainChannels>();

	constructor(
		private readonly physical: PhysicalMemory,
		private readonly interrupts: PhysicalInterrupts,
	) {}

	addDomain(domain: EventDomain): void {
		this.domains.set(domain.id, { domain, channels: new Map() });
	}

	/** The domain ends: all its channels close, and the other ends wait for a new partner. */
	removeDomain(id: number): void {
		if (this.domains.has(id)) this.reset(id);
		this.domains.delete(id);
	}

	// ---- operations; a negative result is an error number ----------------------------------------------------------

	allocateUnbound(caller: number, domain: number, remote: number): number {
		const owner = domain === Domid.self ? caller : domain;
		if (owner !== caller && !this.domains.get(caller)?.domain.privileged) return -Errno.EPERM;
		const from = remote === Domid.self ? caller : remote;
		if (!this.domains.has(owner)) return -Errno.ESRCH;
		return this.open(owner, { kind: "unbound", remote: from });
	}

	bindInterdomain(caller: number, remote: number, remotePort: number): number {
		const other = this.domains.get(remote === Domid.self ? caller : remote);
		if (!other) return -Errno.ESRCH;
		const listener = other.channels.get(remotePort);
		if (listener?.kind !== "unbound" || listener.remote !== caller) return -Errno.EINVAL;
		const port = this.open(caller, { kind: "interdomain", remote: other.domain.id, remotePort });
		if (port < 0) return port;
		other.channels.set(remotePort, { kind: "interdomain", remote: caller, remotePort: port });
		// The peer may have signalled before there was a channel (event_channel.h, EVTCHNOP_bind_interdomain).
		this.setPending(caller, port);
		return port;
	}

	bindVirq(caller: number, virq: number, vcpu: number): number {
		if (virq >= NR_VIRQS) return -Errno.EINVAL;
		if (vcpu !== 0) return -Errno.ENOENT;
		if (this.portOfVirq(caller, virq) !== undefined) return -Errno.EEXIST;
		return this.open(caller, { kind: "virq", virq });
	}

	bindPirq(caller: number, pirq: number): number {
		if (!this.domains.get(caller)?.domain.privileged) return -Errno.EPERM;
		if (this.portOfPirq(caller, pirq) !== undefined) return -Errno.EEXIST;
		const error = this.interrupts.bind(pirq, caller);
		if (error !== 0) return -error;
		const port = this.open(caller, { kind: "pirq", pirq });
		if (port < 0) this.interrupts.unbind(pirq, caller);
		return port;
	}

	bindIpi(caller: number, vcpu: number): number {
		return vcpu === 0 ? this.open(caller, { kind: "ipi" }) : -Errno.ENOENT;
	}

	close(caller: number, port: number): number {
		const own = this.domains.get(caller);
		const channel = own?.channels.get(port);
		if (!own || !channel) return -Errno.EINVAL;
		own.channels.delete(port);
		this.clearPending(own.domain, port);
		if (channel.kind === "pirq") this.interrupts.unbind(channel.pirq, caller);
		if (channel.kind === "interdomain")
			this.domains.get(channel.remote)?.channels.set(channel.remotePort, { kind: "unbound", remote: caller });
		return 0;
	}

	send(caller: number, port: number): number {
		const channel = this.domains.get(caller)?.channels.get(port);
		switch (channel?.kind) {
			case "interdomain":
				this.setPending(channel.remote, channel.remotePort);
				return 0;
			case "ipi":
				this.setPending(caller, port);
				return 0;
			case "service":
				channel.notify();
				return 0;
			case "unbound":
				return 0;
			default:
				return -Errno.EINVAL;
		}
	}

	/** What a port is, or a negative error number. */
	status(caller: number, domain: number, port: number): ChannelStatus | number {
		const owner = domain === Domid.self ? caller : domain;
		if (owner !== caller && !this.domains.get(caller)?.domain.privileged) return -Errno.EPERM;
		const own = this.domains.get(owner);
		if (!own) return -Errno.ESRCH;
		if (port >= this.ports(own.domain)) return -Errno.EINVAL;
		const channel = own.channels.get(port);
		if (!channel) return { status: status.closed };
		const base = { status: status[channel.kind] };
		switch (channel.kind) {
			case "unbound":
				return { ...base, remote: channel.remote };
			case "interdomain":
				return { ...base, remote: channel.remote, remotePort: channel.remotePort };
			case "service":
				return { ...base, remote: 0, remotePort: 0 };
			case "pirq":
				return { ...base, line: channel.pirq };
			case "virq":
				return { ...base, line: channel.virq };
			default:
				return base;
		}
	}

	/** Clears the mask bit; an event that waited behind it is notified. */
	unmask(caller: number, port: number): number {
		const own = this.domains.get(caller);
		if (!own?.channels.has(port)) return -Errno.EINVAL;
		const { domain } = own;
		const wasMasked = this.testAndClear(this.maskBase(domain), port);
		if (wasMasked && this.test(domain.sharedInfo + PENDING, port)) this.select(domain, port);
		return 0;
	}

	bindVcpu(caller: number, port: number, vcpu: number): number {
		const channel = this.domains.get(caller)?.channels.get(port);
		if (vcpu !== 0) return -Errno.ENOENT;
		return !channel || channel.kind === "ipi" || channel.kind === "virq" ? -Errno.EINVAL : 0;
	}

	/** Closes every channel of a domain. */
	reset(id: number): number {
		for (const port of [...(this.domains.get(id)?.channels.keys() ?? [])]) this.close(id, port);
		return 0;
	}

	// ---- what the hypervisor itself does ---------------------------------------------------------------------------

	/** Opens a port of a domain whose other end is a service. */
	bindService(id: number, service: ServiceName, notify: () => void): number {
		return this.open(id, { kind: "service", service, notify });
	}

	/** The service signals the domain. */
	notifyFromService(id: number, port: number): void {
		if (this.domains.get(id)?.channels.get(port)?.kind === "service") this.setPending(id, port);
	}

	/** False when the domain has not bound it. */
	raiseVirq(id: number, virq: number): boolean {
		const port = this.portOfVirq(id, virq);
		if (port === undefined) return false;
		this.setPending(id, port);
		return true;
	}

	/** False when the domain has not bound it. */
	raisePirq(id: number, pirq: number): boolean {
		const port = this.portOfPirq(id, pirq);
		if (port === undefined) return false;
		this.setPending(id, port);
		return true;
	}

	portOfPirq(id: number, pirq: number): number | undefined {
		return this.find(id, (channel) => channel.kind === "pirq" && channel.pirq === pirq);
	}

	private portOfVirq(id: number, virq: number): number | undefined {
		return this.find(id, (channel) => channel.kind === "virq" && channel.virq === virq);
	}

	private find(id: number, wanted: (channel: Channel) => boolean): number | undefined {
		for (const [port, channel] of this.domains.get(id)?.channels ?? []) if (wanted(channel)) return port;
		return undefined;
	}

	/** Whether the pending bit of a port is set. */
	isPending(id: number, port: number): boolean {
		const domain = this.domains.get(id)?.domain;
		return domain !== undefined && port < this.ports(domain) && this.test(domain.sharedInfo + PENDING, port);
	}

	/** After the guest moved its vcpu_info: everything is looked at anew (xen/common/event_channel does so too). */
	signalAfterMove(id: number): void {
		const domain = this.domains.get(id)?.domain;
		if (!domain) return;
		for (let byte = 0; byte < domain.wordBytes; byte++)
			this.physical.write(domain.vcpuInfo() + domain.wordBytes + byte, 1, 0xff);
		this.physical.write(domain.vcpuInfo() + UPCALL_PENDING, 1, 1);
		domain.upcallPending();
	}

	view(id: number): DomainView["eventChannels"] {
		const own = this.domains.get(id);
		if (!own) return [];
		const { domain } = own;
		return [...own.channels]
			.sort(([a], [b]) => a - b)
			.map(([port, channel]) => ({
				port,
				kind: channel.kind === "service" ? channel.service : channel.kind,
				target: describe(channel),
				pending: this.test(domain.sharedInfo + PENDING, port),
				masked: this.test(this.maskBase(domain), port),
			}));
	}

	// ---- bits ------------------------------------------------------------------------------------------------------

	/** EVTCHN_2L_NR_CHANNELS. */
	private ports(domain: EventDomain): number {
		return domain.wordBytes * domain.wordBytes * 64;
	}

	private maskBase(domain: EventDomain): number {
		return domain.sharedInfo + PENDING + this.ports(domain) / 8;
	}

	private open(id: number, channel: Channel): number {
		const own = this.domains.get(id);
		if (!own) return -Errno.ESRCH;
		// Port 0 is never given out: it stands for "none" in start_info.
		for (let port = 1; port < this.ports(own.domain); port++) {
			if (own.channels.has(port)) continue;
			own.channels.set(port, channel);
			return port;
		}
		return -Errno.ENOSPC;
	}

	private setPending(id: number, port: number): void {
		const domain = this.domains.get(id)?.domain;
		if (!domain || this.testAndSet(domain.sharedInfo + PENDING, port)) return;
		if (!this.test(this.maskBase(domain), port)) this.select(domain, port);
		domain.portPending(port);
	}

	/** Sets the bit of the port's word in the selector, and tells the vCPU unless it was told already. */
	private select(domain: EventDomain, port: number): void {
		const word = Math.floor(port / (domain.wordBytes * 8));
		const upcall = domain.vcpuInfo() + UPCALL_PENDING;
		if (this.testAndSet(domain.vcpuInfo() + domain.wordBytes, word) && this.physical.read(upcall, 1) !== 0) return;
		this.physical.write(upcall, 1, 1);
		domain.upcallPending();
	}

	private clearPending(domain: EventDomain, port: number): void {
		this.testAndClear(domain.sharedInfo + PENDING, port);
	}

	private test(base: number, bit: number): boolean {
		return (this.physical.read(base + (bit >> 3), 1) & (1 << (bit & 7))) !== 0;
	}

	private testAndSet(base: number, bit: number): boolean {
		const before = this.physical.read(base + (bit >> 3), 1);
		this.physical.write(base + (bit >> 3), 1, before | (1 << (bit & 7)));
		return (before & (1 << (bit & 7))) !== 0;
	}

	private testAndClear(base: number, bit: number): boolean {
		const before = this.physical.read(base + (bit >> 3), 1);
		this.physical.write(base + (bit >> 3), 1, before & ~(1 << (bit & 7)));
		return (before & (1 << (bit & 7))) !== 0;
	}
}

function describe(channel: Channel): string {
	switch (channel.kind) {
		case "unbound":
			return `waits for domain ${channel.remote}`;
		case "interdomain":
			return `domain ${channel.remote} port ${channel.remotePort}`;
		case "pirq":
			return `interrupt line ${channel.pirq}`;
		case "virq":
			return `VIRQ_${virqNames[channel.virq] ?? channel.virq}`;
		case "ipi":
			return "vCPU 0";
		case "service":
			return channel.service;
	}
}

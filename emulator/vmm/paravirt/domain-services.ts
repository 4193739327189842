// What the hypervisor does for domains beside memory and processor: event channels, grants, xenstore, consoles, timers, and the
// host's interrupts for Domain 0. In Xen some of it is done by programs in Domain 0 (xenstored, xenconsoled, the toolstack);
// here the hypervisor does it, so that a domain needs no other one to be built, and outlives a crash of Domain 0.

import type { DomainView } from "../../machine/hypervisor-views.ts";
import type { VmEventField } from "../../machine/vm-events.ts";
import { ConsoleRing } from "./console-ring.ts";
import type { Domain } from "./domain.ts";
import type { DomainParts } from "./domains-view.ts";
import { describeEventChannelOperation, eventChannelOperation } from "./event-channel-hypercall.ts";
import { EventChannels } from "./event-channels.ts";
import { describeGrantTableOperation, grantTableOperation } from "./grant-table-hypercall.ts";
import { GrantTables } from "./grant-tables.ts";
import type { HypercallContext, HypercallHandler, HypercallResult } from "./hypercall.ts";
import type { Hypervisor } from "./hypervisor.ts";
import { PageType } from "./memory/frame-table.ts";
import { grantMemory } from "./memory/grant-memory.ts";
import { PhysicalInterruptRouting } from "./physical-interrupts.ts";
import { VirtualTimers } from "./virtual-timers.ts";
import { Errno, type HypercallName, Virq } from "./xen-abi.ts";
import { closeBackends, describeDomain } from "./xenstore/domain-nodes.ts";
import { StoreRing } from "./xenstore/store-ring.ts";
import { XenStore } from "./xenstore/xenstore.ts";

interface Served {
	readonly timers: VirtualTimers;
	store?: StoreRing;
	console?: ConsoleRing;
}

export class DomainServices implements DomainParts {
	readonly channels: EventChannels;
	readonly grantTables: GrantTables;
	readonly store = new XenStore();
	readonly interrupts: PhysicalInterruptRouting;
	readonly handlers: Readonly<Partial<Record<HypercallName, HypercallHandler>>> = {
		event_channel_op: (call) => this.eventChannel(call),
		grant_table_op: (call) => this.grantTable(call),
		set_timer_op: (call) => this.setTimer(call),
	};
	private readonly served = new Map<Domain, Served>();

	/** @param output takes what domains write to their consoles. */
	constructor(
		private readonly hypervisor: Hypervisor,
		private readonly output: (byte: number) => void,
	) {
		const { physical } = hypervisor.host;
		this.interrupts = new PhysicalInterruptRouting(hypervisor, (domain, line) => this.channels.raisePirq(domain, line));
		this.channels = new EventChannels(physical, this.interrupts);
		this.grantTables = new GrantTables(physical, grantMemory(hypervisor));
	}

	// ---- domains -----------------------------------------------------------------------------------------------------

	/** A new domain, before it is built: the ports of its start info are open from then on. */
	addDomain(domain: Domain): void {
		const { hypervisor, channels } = this;
		const wake = () => {
			hypervisor.scheduler.wake(domain);
			hypervisor.attention();
		};
		channels.addDomain({
			id: domain.id,
			wordBytes: domain.longBytes,
			privileged: domain.privileged,
			sharedInfo: domain.sharedInfoFrame * 4096,
			vcpuInfo: () => domain.vcpu.infoFrame * 4096 + domain.vcpu.infoOffset,
			upcallPending: wake,
			portPending: () => {
				if (domain.vcpu.polling) wake();
			},
		});
		this.grantTables.addDomain({
			id: domain.id,
			privileged: domain.privileged,
			allocateSharedFrame: () => (hypervisor.allocator.count > 0 ? hypervisor.sharedFrame(domain) : undefined),
		});
		const timers = new VirtualTimers(hypervisor.host.clock, () => channels.raiseVirq(domain.id, Virq.timer));
		this.served.set(domain, { timers });
		domain.store.port = channels.bindService(domain.id, "xenstore", () => this.served.get(domain)?.store?.serve());
		domain.console.port = channels.bindService(domain.id, "console", () => this.served.get(domain)?.console?.serve());
		domain.onEnd.push(() => this.ended(domain));
	}

	/** The domain is built: its xenstore and console pages are where the start info says. */
	connect(domain: Domain): void {
		const { hypervisor, channels, grantTables, store } = this;
		const { physical } = hypervisor.host;
		const served = this.served.get(domain)!;
		// The pages stay the domain's for good, even if it gives them back: the services write to them.
		for (const { frame } of [domain.store, domain.console])
			if (hypervisor.tables.getPageAndType(frame, domain.id, PageType.writable) < 0)
				throw new Error(`The builder's page 0x${frame.toString(16)} of ${domain.name} is not writable.`);
		describeDomain(store, domain);
		const signalStore = () => channels.notifyFromService(domain.id, domain.store.port);
		const storePage = domain.store.frame * 4096;
		served.store = new StoreRing(physical, store, storePage, domain.id, domain.privileged, signalStore);
		const signalConsole = () => channels.notifyFromService(domain.id, domain.console.port);
		served.console = new ConsoleRing(physical, domain.console.frame * 4096, this.output, signalConsole);
		// grant_table.h: references 0 and 1 are the pages of console and xenstore, granted to who serves them.
		grantTables.prepare(domain.id, 0, 0, domain.console.frame);
		grantTables.prepare(domain.id, 1, 0, domain.store.frame);
	}

	/** Bytes typed at a domain's console. */
	consoleInput(domain: Domain, bytes: Uint8Array): void {
		this.served.get(domain)?.console?.input(bytes);
	}

	/** A domain has shut down or crashed. What it drove for others is closed, so that they need not wait for ever. */
	private ended(domain: Domain): void {
		this.served.get(domain)?.timers.stop();
		this.interrupts.release(domain.id);
		closeBackends(this.store, domain.id);
		this.store.domainStopped();
		// A global interrupt, which Domain 0 has (xen.h, VIRQ_DOM_EXC).
		this.channels.raiseVirq(0, Virq.domExc);
	}

	// ---- hypercalls --------------------------------------------------------------------------------------------------

	private eventChannel(call: HypercallContext): HypercallResult {
		const { domain, memory } = call;
		const command = call.int(0);
		for (const { name, value } of describeEventChannelOperation(command, call.long(1), memory)) call.note(name, value);
		return eventChannelOperation(this.channels, domain.id, command, call.long(1), memory);
	}

	private grantTable(call: HypercallContext): HypercallResult {
		const { domain, memory } = call;
		const command = call.int(0);
		const argument = call.long(1);
		const count = call.int(2);
		const { longBytes } = domain;
		for (const { name, value } of describeGrantTableOperation(longBytes, command, argument, count, memory))
			call.note(name, value);
		return grantTableOperation(this.grantTables, domain.id, longBytes, command, argument, count, memory);
	}

	/** xen.h, set_timer_op: one 64-bit argument, two for a 32-bit guest. */
	private setTimer(call: HypercallContext): HypercallResult {
		const time = call.domain.wide ? call.long(0) : call.long(0) | (call.long(1) << 32n);
		call.note("time", time);
		this.served.get(call.domain)?.timers.setOneShot(time);
		return 0;
	}

	/** The timers of vcpu_op (vcpu.h); undefined for other commands. */
	vcpuTimers(call: HypercallContext, command: number, argument: bigint): HypercallResult | undefined {
		const timers = this.served.get(call.domain)?.timers;
		if (timers === undefined) return undefined;
		const view = command === 6 || command === 8 ? call.memory.view(argument, command === 6 ? 8 : 12) : undefined;
		switch (command) {
			case 6:
				return view === undefined ? -Errno.EFAULT : timers.setPeriodic(view.getBigUint64(0, true));
			case 7:
				timers.stopPeriodic();
				return 0;
			case 8:
				return view === undefined
					? -Errno.EFAULT
					: timers.setSingleShot(view.getBigUint64(0, true), view.getUint32(8, true));
			case 9:
				timers.stopSingleShot();
				return 0;
			default:
				return undefined;
		}
	}

	// ---- views -------------------------------------------------------------------------------------------------------

	eventChannels(domain: number): DomainView["eventChannels"] {
		return this.channels.view(domain);
	}

	grants(domain: number): DomainView["grants"] {
		return this.grantTables.view(domain);
	}

	detail(id: number): VmEventField[] {
		const domain = this.hypervisor.domains.get(id);
		const served = domain && this.served.get(domain);
		if (served === undefined) return [];
		const { timers, store, console } = served;
		const fields: VmEventField[] = [];
		if (timers.deadline !== undefined) fields.push({ name: "timer goes off at", value: timers.deadline });
		if (timers.period !== undefined) fields.push({ name: "periodic timer", value: timers.period });
		if (store) fields.push({ name: "xenstore", value: store.detail() });
		if (console) fields.push({ name: "console", value: console.detail() });
		const mappings = this.grantTables.mappings(id);
		if (mappings.length > 0)
			fields.push({
				name: "mapped grants",
				value: mappings.slice(0, 64).map(({ granter, reference, frame }) => ({
					name: `domain ${granter} reference ${reference}`,
					value: frame,
				})),
			});
		const lines = this.interrupts.linesOf(id);
		if (lines.length > 0) fields.push({ name: "interrupt lines", value: lines.join(", ") });
		return fields;
	}
}

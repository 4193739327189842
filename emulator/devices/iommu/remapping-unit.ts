// A DMA and interrupt remapping unit (VT-d): every request of a bus master goes through it.
// Reference: Intel Virtualization Technology for Directed I/O, specification 3.3 (order number D51397), legacy mode.

import type { InterruptMessage } from "../apic-bus.ts";
import type { AccessSize, Device, RegisterBlock, RegisterView } from "../device.ts";
import type { DmaMemory, DmaRemapping, DmaTarget, SourceId } from "../dma-port.ts";
import { interruptMessage } from "../message-signalled-interrupt.ts";
import { EventInterrupt } from "./event-interrupt.ts";
import { describeReason, FaultReason, type RemappingFault } from "./fault-reason.ts";
import { FaultRecording } from "./fault-recording.ts";
import { interruptIndex, isRemappable, readInterruptEntry, sourceAllowed } from "./interrupt-remapping.ts";
import { Invalidation } from "./invalidation.ts";
import {
	CAPABILITY,
	EXTENDED_CAPABILITY,
	FAULT_RECORDS,
	GLOBAL_NAMES,
	Global,
	Offset,
	QueueError,
	REGISTER_BYTES,
	VERSION,
	Words,
} from "./register-map.ts";
import {
	type Context,
	HOST_ADDRESS_BITS,
	type SecondLevelPage,
	type TableStep,
	TranslationType,
	WalkFault,
	walkContext,
	walkSecondLevel,
} from "./table-walk.ts";
import { type CachesState, TranslationCaches } from "./translation-caches.ts";

/** A request that was stopped, for the debugger. */
export interface StoppedRequest extends RemappingFault {
	readonly source: SourceId;
	/** Device address; for "interrupt" the address of the request. */
	readonly address: bigint;
	readonly access: "read" | "write" | "interrupt";
	/** As a fault record has it (FI): the page of the device address, or the index of an interrupt request at bit 48. */
	readonly information: bigint;
	readonly meaning: string;
	/** Order of the stop since power-on, from 1. */
	readonly number: number;
}

interface RemappingUnitState {
	words: number[];
	/** As SRTP and SIRTP latched them. */
	rootTable: number;
	interruptTable: number;
	/** Fault recording register that the next fault goes to. */
	nextFault: number;
	translated: number;
	blocked: number;
	caches: CachesState;
}

/** Low halves of registers and the bits of them that software writes freely. */
const PLAIN: ReadonlyMap<number, number> = new Map([
	[Offset.rootTable, 0xffff_fc00],
	[Offset.rootTable + 4, 0xffff_ffff],
	[Offset.contextCommand, 0xffff_ffff],
	[Offset.faultEvent + 4, 0xffff],
	[Offset.faultEvent + 8, 0xffff_fffc],
	[Offset.faultEvent + 12, 0xffff_ffff],
	[Offset.completionEvent + 4, 0xffff],
	[Offset.completionEvent + 8, 0xffff_fffc],
	[Offset.completionEvent + 12, 0xffff_ffff],
	[Offset.interruptTable, 0xffff_f80f],
	[Offset.interruptTable + 4, 0xffff_ffff],
	[Offset.invalidateAddress, 0xffff_f07f],
	[Offset.invalidateAddress + 4, 0xffff_ffff],
]);
const INTERRUPT_TABLE_EXTENDED = 0x800;
const EVENT_MASKED = 0x8000_0000;

/** Register block: 4 KiB of memory-mapped registers. */
export class RemappingUnit implements Device, RegisterBlock, DmaRemapping {
	readonly name = "VT-d remapping unit";
	private readonly words = new Words();
	private readonly caches = new TranslationCaches();
	private readonly faults: FaultRecording;
	private readonly faultEvent: EventInterrupt;
	private readonly completionEvent: EventInterrupt;
	private readonly invalidation: Invalidation;
	/** As SRTP and SIRTP latched them. */
	private rootTable = 0n;
	private interruptTable = 0n;
	/** Requests that were let through, and those that were stopped. */
	translated = 0;
	blocked = 0;
	/** Called for each request that was stopped. */
	onStopped: (request: StoppedRequest) => void = () => {};

	/**
	 * @param memory where the tables lie.
	 * @param deliver takes interrupts to the local APICs.
	 */
	constructor(
		private readonly memory: DmaMemory,
		private readonly deliver: (message: InterruptMessage) => boolean,
	) {
		const { words } = this;
		const send = (address: number, data: number) => void this.deliver(interruptMessage(address, data));
		this.faultEvent = new EventInterrupt(words, Offset.faultEvent, send);
		this.completionEvent = new EventInterrupt(words, Offset.completionEvent, send);
		this.faults = new FaultRecording(words, this.faultEvent);
		const queueMemory = {
			read: this.readQuadword,
			write32: (address: bigint, value: number) => this.write32(address, value),
		};
		this.invalidation = new Invalidation(words, this.caches, queueMemory, this.faults, this.completionEvent);
		this.reset();
	}

	// Requests.

	get translationEnabled(): boolean {
		return (this.words.get(Offset.globalStatus) & Global.translationEnable) !== 0;
	}

	get interruptRemappingEnabled(): boolean {
		return (this.words.get(Offset.globalStatus) & Global.interruptRemappingEnable) !== 0;
	}

	translate(source: SourceId, address: bigint, write: boolean): DmaTarget | undefined {
		if (!this.translationEnabled) return this.untranslated(address);
		try {
			let context = this.caches.context(source);
			if (!context) {
				context = walkContext(this.readQuadword, this.rootTable, source);
				this.caches.addContext(source, context);
			}
			const target = this.translateIn(context, address, write);
			this.translated++;
			return target;
		} catch (fault) {
			if (!(fault instanceof WalkFault)) throw fault;
			this.stop(fault, source, address, write ? "write" : "read", address & ~0xfffn);
			return undefined;
		}
	}

	private untranslated(address: bigint): DmaTarget | undefined {
		return address >> HOST_ADDRESS_BITS
			? undefined
			: { address: Number(address), length: 0x1000 - Number(address & 0xfffn) };
	}

	private translateIn(context: Context, address: bigint, write: boolean): DmaTarget {
		if (context.type === TranslationType.passThrough) {
			const target = this.untranslated(address);
			if (target) return target;
			throw new WalkFault(FaultReason.addressBeyondWidth, "passed through, but no host address", context.silent);
		}
		let page = this.caches.page(context.domain, address);
		// A cached page that forbids the access is looked up again: rights may have been added since (§6.2.3).
		if (!page || !(write ? page.write : page.read)) {
			page = walkSecondLevel(this.readQuadword, context, address, write);
			this.caches.addPage(context.domain, address, page);
		}
		const offset = address & (page.size - 1n);
		return { address: Number(page.base + offset), length: Number(page.size - offset) };
	}

	interrupt(source: SourceId, address: number, data: number): boolean {
		if (!this.interruptRemappingEnabled) return this.deliver(interruptMessage(address, data));
		let information = 0n;
		try {
			if (!isRemappable(address)) {
				if (this.compatibilityAllowed) return this.deliver(interruptMessage(address, data));
				throw new WalkFault(
					FaultReason.compatibilityInterruptBlocked,
					`a message of 0x${data.toString(16)} to 0x${address.toString(16)}`,
				);
			}
			const index = interruptIndex(address, data);
			information = BigInt(index) << 48n;
			return this.deliver(this.interruptEntry(index, source).message);
		} catch (fault) {
			if (!(fault instanceof WalkFault)) throw fault;
			this.stop(fault, source, BigInt(address), "interrupt", information);
			return false;
		}
	}

	private get compatibilityAllowed(): boolean {
		return (
			(this.words.get(Offset.globalStatus) & Global.compatibilityInterrupts) !== 0 &&
			(this.interruptTable & BigInt(INTERRUPT_TABLE_EXTENDED)) === 0n
		);
	}

	private interruptEntry(index: number, source: SourceId) {
		let entry = this.caches.interrupt(index);
		if (!entry) {
			const table = this.interruptTable;
			const extended = (table & BigInt(INTERRUPT_TABLE_EXTENDED)) !== 0n;
			entry = readInterruptEntry(this.readQuadword, table & ~0xfffn, 2 << Number(table & 15n), index, extended);
			this.caches.addInterrupt(index, entry);
		}
		if (!sourceAllowed(entry, source))
			throw new WalkFault(
				FaultReason.interruptSourceDenied,
				`entry ${index} is for requester ${entry.sourceId}`,
				entry.silent,
			);
		return entry;
	}

	private stop(
		fault: WalkFault,
		source: SourceId,
		address: bigint,
		access: StoppedRequest["access"],
		information: bigint,
	): void {
		this.blocked++;
		const { reason, silent, detail } = fault;
		if (!silent) this.faults.record(source, information, reason, access === "read");
		this.onStopped({
			reason,
			silent,
			detail,
			source,
			address,
			access,
			information,
			meaning: describeReason(reason),
			number: this.blocked,
		});
	}

	private readonly readQuadword = (address: bigint): bigint | undefined => {
		const bytes = this.memory.read(Number(address), 8);
		return bytes && new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
	};

	private write32(address: bigint, value: number): boolean {
		if (address >> HOST_ADDRESS_BITS) return false;
		const bytes = new Uint8Array(4);
		new DataView(bytes.buffer).setUint32(0, value, true);
		return this.memory.write(Number(address), bytes);
	}

	// For views: the tables as they are in memory, without the caches and without recording.

	/** Host-physical address of the root table in use. */
	get rootTableAddress(): bigint {
		return this.rootTable;
	}

	/** The context of a requester as the tables have it now. @throws {WalkFault} */
	inspectContext(source: SourceId, steps: TableStep[] = []): Context {
		return walkContext(this.readQuadword, this.rootTable, source, steps);
	}

	/** The page of a device address as the tables have it now. @throws {WalkFault} */
	inspectPage(context: Context, address: bigint, write: boolean, steps: TableStep[] = []): SecondLevelPage {
		return walkSecondLevel(this.readQuadword, context, address, write, steps);
	}

	// Registers.

	read(offset: number, size: AccessSize): number {
		if (offset >= REGISTER_BYTES) return 0;
		const value = this.words.get(offset & ~3) >>> (8 * (offset & 3));
		return size === 4 ? value : value & (size === 2 ? 0xffff : 0xff);
	}

	/** Only aligned accesses of 32 bits (and of 64, which come as two) are taken (§10.2). */
	write(offset: number, size: AccessSize, value: number): void {
		if (size !== 4 || offset & 3 || offset >= REGISTER_BYTES) return;
		const { words } = this;
		const plain = PLAIN.get(offset);
		if (plain !== undefined) {
			words.set(offset, value & plain);
			return;
		}
		const record = offset - Offset.faultRecording;
		if (record >= 0) {
			if ((record & 15) === 12) this.faults.writeRecord(offset, value);
			return;
		}
		this.command(offset, value);
	}

	private command(offset: number, value: number): void {
		const { words, invalidation } = this;
		const queued = (words.get(Offset.globalStatus) & Global.queueEnable) !== 0;
		switch (offset) {
			case Offset.globalCommand:
				this.globalCommand(value);
				break;
			case Offset.contextCommand + 4:
				if (!queued) invalidation.contextCommand(value);
				break;
			case Offset.invalidateIotlb + 4:
				if (!queued) invalidation.iotlbCommand(value);
				break;
			case Offset.faultStatus:
				this.faults.writeStatus(value);
				if (queued) invalidation.runQueue();
				break;
			case Offset.faultEvent:
				this.faultEvent.writeControl(value);
				break;
			case Offset.completionEvent:
				this.completionEvent.writeControl(value);
				break;
			case Offset.completionStatus:
				if (!(value & 1)) break;
				words.set(Offset.completionStatus, 0);
				this.completionEvent.withdraw();
				break;
			case Offset.queueTail:
				words.set(Offset.queueTail, value & 0x7_fff0);
				if (queued) invalidation.runQueue();
				break;
			case Offset.queueAddress:
				if (!queued) words.set(Offset.queueAddress, value & 0xffff_f807);
				break;
			case Offset.queueAddress + 4:
				if (!queued) words.set(Offset.queueAddress + 4, value);
				break;
			default:
		}
	}

	/** Enables follow the command's bits; the others are done once (§10.4.4). */
	private globalCommand(value: number): void {
		const { words } = this;
		const switches =
			Global.translationEnable | Global.queueEnable | Global.interruptRemappingEnable | Global.compatibilityInterrupts;
		let status = (words.get(Offset.globalStatus) & ~switches) | (value & switches);
		if (value & Global.setRootTable) {
			this.rootTable = words.get64(Offset.rootTable) & ~0xfffn;
			status |= Global.setRootTable;
		}
		if (value & Global.setInterruptTable) {
			this.interruptTable = words.get64(Offset.interruptTable);
			status |= Global.setInterruptTable;
		}
		const starts = status & ~words.get(Offset.globalStatus) & Global.queueEnable;
		words.set(Offset.globalStatus, status >>> 0);
		if (!(status & Global.queueEnable) || starts) {
			words.set(Offset.queueHead, 0);
			words.set(Offset.queueError, QueueError.none);
		}
		if (starts) this.invalidation.runQueue();
	}

	reset(): void {
		const { words } = this;
		words.values.fill(0);
		words.set(Offset.version, VERSION);
		words.set64(Offset.capability, CAPABILITY);
		words.set64(Offset.extendedCapability, EXTENDED_CAPABILITY);
		words.set(Offset.faultEvent, EVENT_MASKED);
		words.set(Offset.completionEvent, EVENT_MASKED);
		this.rootTable = this.interruptTable = 0n;
		this.faults.next = 0;
		this.translated = this.blocked = 0;
		this.caches.clear();
	}

	save(): unknown {
		return structuredClone<RemappingUnitState>({
			words: [...this.words.values],
			rootTable: Number(this.rootTable),
			interruptTable: Number(this.interruptTable),
			nextFault: this.faults.next,
			translated: this.translated,
			blocked: this.blocked,
			caches: this.caches.save(),
		});
	}

	restore(state: unknown): void {
		const saved = structuredClone(state as RemappingUnitState);
		this.words.values.set(saved.words);
		this.rootTable = BigInt(saved.rootTable);
		this.interruptTable = BigInt(saved.interruptTable);
		this.faults.next = saved.nextFault;
		this.translated = saved.translated;
		this.blocked = saved.blocked;
		this.caches.restore(saved.caches);
	}

	registers(): RegisterView[] {
		const { words } = this;
		const long = (name: string, offset: number, meaning?: string): RegisterView => ({
			name,
			width: 64,
			value: words.get64(offset),
			...(meaning === undefined ? {} : { meaning }),
		});
		const short = (name: string, offset: number, meaning?: string): RegisterView => ({
			name,
			width: 32,
			value: words.get(offset),
			...(meaning === undefined ? {} : { meaning }),
		});
		const status = words.get(Offset.globalStatus);
		const names = Object.entries(GLOBAL_NAMES).flatMap(([bit, name]) => (status & Number(bit) ? [name] : []));
		const [contexts, pages, interrupts] = this.caches.used;
		const records = Array.from({ length: FAULT_RECORDS }, (_, i) => {
			const at = Offset.faultRecording + 16 * i;
			const high = words.get(at + 12);
			const meaning = high & EVENT_MASKED ? describeReason(high & 0xff) : "free";
			return [long(`FRCD${i} low`, at), long(`FRCD${i} high`, at + 8, meaning)];
		});
		return [
			short("VER", Offset.version),
			long("CAP", Offset.capability),
			long("ECAP", Offset.extendedCapability),
			short("GSTS", Offset.globalStatus, names.join(" ")),
			long("RTADDR", Offset.rootTable, `in use: 0x${this.rootTable.toString(16)}`),
			long("CCMD", Offset.contextCommand, `${contexts} contexts cached`),
			short("FSTS", Offset.faultStatus),
			short("FECTL", Offset.faultEvent),
			short("FEDATA", Offset.faultEvent + 4),
			short("FEADDR", Offset.faultEvent + 8),
			long("IQH", Offset.queueHead),
			long("IQT", Offset.queueTail),
			long("IQA", Offset.queueAddress),
			short("ICS", Offset.completionStatus),
			short("IECTL", Offset.completionEvent),
			short("IQERCD", Offset.queueError),
			long(
				"IRTA",
				Offset.interruptTable,
				`in use: 0x${this.interruptTable.toString(16)}, ${interrupts} entries cached`,
			),
			long("IVA", Offset.invalidateAddress),
			long("IOTLB", Offset.invalidateIotlb, `${pages} pages cached`),
			...records.flat(),
		];
	}
}

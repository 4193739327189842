// The 82093AA I/O APIC. Reference: Intel 82093AA data sheet (order number 290566).

import { type ApicBus, DeliveryMode, type EndOfInterruptListener } from "./apic-bus.ts";
import type { AccessSize, Device, InterruptLine, RegisterBlock, RegisterView } from "./device.ts";
import { hex } from "./register-format.ts";

/** Offsets in the memory window. */
const IOREGSEL = 0x00;
const IOWIN = 0x10;

/** Register numbers behind the window. */
const IOAPICID = 0x00;
const IOAPICVER = 0x01;
const IOAPICARB = 0x02;
const IOREDTBL = 0x10;

const entryCount = 24;
const versionValue = ((entryCount - 1) << 16) | 0x11;

/** Redirection table entry, low half. */
const ENTRY_LOGICAL = 0x800;
const ENTRY_REMOTE_IRR = 0x4000;
const ENTRY_LEVEL = 0x8000;
const ENTRY_MASKED = 0x1_0000;
/** Delivery status and remote IRR are read only. */
const ENTRY_WRITABLE = 0x1_afff;

interface IoApicState {
	id: number;
	select: number;
	/** Per entry: low and high half. */
	low: number[];
	high: number[];
	/** Levels of the inputs. */
	lines: boolean[];
}

function atReset(lines: boolean[]): IoApicState {
	return {
		id: 0,
		select: 0,
		low: new Array(entryCount).fill(ENTRY_MASKED),
		high: new Array(entryCount).fill(0),
		lines,
	};
}

/**
 * Register block: 4 KiB at 0xfec00000. Deviation: the polarity bit is kept but not used, since `InterruptLine` speaks of
 * asserted and not of high.
 */
export class IoApic implements Device, RegisterBlock, EndOfInterruptListener {
	readonly name = "82093AA I/O APIC";
	private state: IoApicState = atReset(new Array(entryCount).fill(false));
	/** The remapping unit, when there is one: takes interrupts as address and data of a request; false when it is stopped. */
	remapping: ((address: number, data: number) => boolean) | undefined;

	constructor(private readonly bus: ApicBus) {
		bus.addListener(this);
	}

	/** Input 0 to 23. */
	line(input: number): InterruptLine {
		if (!(input >= 0 && input < entryCount)) throw new RangeError(`The I/O APIC has no input ${input}.`);
		return { set: (asserted) => this.setLine(input, asserted) };
	}

	read(offset: number, size: AccessSize): number {
		const value = this.window(offset & ~3);
		const shifted = value >>> (8 * (offset & 3));
		return size === 4 ? shifted : size === 2 ? shifted & 0xffff : shifted & 0xff;
	}

	/** "All accesses must be 32 bits"; a narrow write reaches only the select register. */
	write(offset: number, size: AccessSize, value: number): void {
		const { state } = this;
		if (offset === IOREGSEL) state.select = value & 0xff;
		else if (offset === IOWIN && size === 4) this.writeRegister(state.select, value >>> 0);
	}

	endOfInterrupt(vector: number): void {
		const { state } = this;
		for (let i = 0; i < entryCount; i++) {
			const low = state.low[i]!;
			if ((low & 0xff) !== vector || !(low & ENTRY_REMOTE_IRR)) continue;
			state.low[i] = low & ~ENTRY_REMOTE_IRR;
			this.offerLevel(i);
		}
	}

	reset(): void {
		this.state = atReset(this.state.lines);
	}

	save(): unknown {
		return structuredClone(this.state);
	}

	restore(state: unknown): void {
		this.state = structuredClone(state as IoApicState);
	}

	registers(): RegisterView[] {
		const { state } = this;
		const views: RegisterView[] = [
			{ name: "IOREGSEL", width: 8, value: state.select },
			{ name: "IOAPICID", width: 32, value: this.register(IOAPICID) },
			{ name: "IOAPICVER", width: 32, value: versionValue },
		];
		for (let i = 0; i < entryCount; i++) {
			const low = state.low[i]!;
			const high = state.high[i]!;
			const how = [
				`vector ${hex(low & 0xff, 8)}`,
				low & ENTRY_LEVEL ? "level" : "edge",
				low & ENTRY_MASKED ? "masked" : "",
				low & ENTRY_REMOTE_IRR ? "remote IRR" : "",
				`to ${low & ENTRY_LOGICAL ? "logical " : ""}${high >>> 24}`,
				state.lines[i] ? "line asserted" : "",
			];
			views.push({
				name: `IOREDTBL${i}`,
				width: 64,
				value: (BigInt(high) << 32n) | BigInt(low),
				meaning: how.filter(Boolean).join(", "),
			});
		}
		return views;
	}

	private window(offset: number): number {
		if (offset === IOREGSEL) return this.state.select;
		return offset === IOWIN ? this.register(this.state.select) : 0;
	}

	private register(number: number): number {
		const { state } = this;
		if (number === IOAPICID || number === IOAPICARB) return (state.id << 24) >>> 0;
		if (number === IOAPICVER) return versionValue;
		const entry = (number - IOREDTBL) >> 1;
		if (entry < 0 || entry >= entryCount) return 0;
		return (number & 1 ? state.high : state.low)[entry]!;
	}

	private writeRegister(number: number, value: number): void {
		const { state } = this;
		if (number === IOAPICID) {
			state.id = (value >>> 24) & 0x0f;
			return;
		}
		const entry = (number - IOREDTBL) >> 1;
		if (entry < 0 || entry >= entryCount) return;
		if (number & 1) {
			// With a remapping unit bits 63 to 48 are an index and the format (VT-d specification 3.3, §5.1.5.1).
			state.high[entry] = (value & (this.remapping ? 0xffff_0000 : 0xff00_0000)) >>> 0;
			return;
		}
		let low = (value & ENTRY_WRITABLE) | (state.low[entry]! & ENTRY_REMOTE_IRR);
		// Turning an entry to edge clears its remote IRR; systems use this to end an interrupt by hand.
		if (!(low & ENTRY_LEVEL)) low &= ~ENTRY_REMOTE_IRR;
		state.low[entry] = low;
		this.offerLevel(entry);
	}

	private setLine(input: number, asserted: boolean): void {
		const { state } = this;
		if (state.lines[input] === asserted) return;
		state.lines[input] = asserted;
		if (!asserted) return;
		const low = state.low[input]!;
		if (low & ENTRY_LEVEL) this.offerLevel(input);
		// An edge while the entry is masked is lost (data sheet, "Interrupt Mask").
		else if (!(low & ENTRY_MASKED)) this.send(input);
	}

	private offerLevel(input: number): void {
		const { state } = this;
		const low = state.low[input]!;
		if (!state.lines[input] || !(low & ENTRY_LEVEL) || low & (ENTRY_MASKED | ENTRY_REMOTE_IRR)) return;
		// Remote IRR goes first: the target may end the interrupt before this returns.
		state.low[input] = low | ENTRY_REMOTE_IRR;
		if (!this.send(input)) state.low[input] = low;
	}

	private send(input: number): boolean {
		const { state } = this;
		const low = state.low[input]!;
		const deliveryMode = (low >> 8) & 7;
		if (this.remapping) return this.remapping(...requestOf(low, state.high[input]!));
		return this.bus.deliver({
			destination: state.high[input]! >>> 24,
			logical: (low & ENTRY_LOGICAL) !== 0,
			deliveryMode,
			vector: low & 0xff,
			// Only fixed and lowest-priority interrupts know levels; the others are edges.
			levelTriggered: (low & ENTRY_LEVEL) !== 0 && deliveryMode <= DeliveryMode.lowestPriority,
		});
	}
}

/** Bit 48 of an entry: remappable format. */
const ENTRY_REMAPPABLE = 0x1_0000;

/** The interrupt request that an entry stands for, in either format (VT-d specification 3.3, §5.1.5.1). */
function requestOf(low: number, high: number): [address: number, data: number] {
	const data = (low & 0x7ff) | (low & ENTRY_LEVEL);
	if (!(high & ENTRY_REMAPPABLE))
		return [(0xfee0_0000 | ((high >>> 24) << 12) | (low & ENTRY_LOGICAL ? 4 : 0)) >>> 0, data];
	// Index 14:0 is in bits 63 to 49, index 15 in bit 11; no subhandle.
	return [(0xfee0_0010 | ((high >>> 17) << 5) | (low & ENTRY_LOGICAL ? 4 : 0)) >>> 0, data];
}

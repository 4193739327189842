// The local APIC, in xAPIC mode (a 4 KiB page, by default at 0xfee00000) and x2APIC mode (MSRs 0x800-0x83f).
// Reference: SDM volume 3A, chapter 11 "Advanced Programmable Interrupt Controller (APIC)".

import { type ApicBus, type ApicTarget, DeliveryMode, type InterruptMessage } from "./apic-bus.ts";
import { ApicTimer, type ApicTimerState, apicTimerAtReset, TimerMode } from "./apic-timer.ts";
import type { AccessSize, Clock, Device, InterruptLine, RegisterBlock, RegisterView } from "./device.ts";
import { hex } from "./register-format.ts";
import { TickRate } from "./tick-rate.ts";

/** Register numbers: the offset in the page divided by 16, or the MSR less 0x800 (table 11-1). */
const ID = 0x02;
const VERSION = 0x03;
const TPR = 0x08;
const APR = 0x09;
const PPR = 0x0a;
const EOI = 0x0b;
const LDR = 0x0d;
const DFR = 0x0e;
const SVR = 0x0f;
const ISR = 0x10;
const TMR = 0x18;
const IRR = 0x20;
const ESR = 0x28;
const ICR_LOW = 0x30;
const ICR_HIGH = 0x31;
const LVT_TIMER = 0x32;
const LVT_THERMAL = 0x33;
const LVT_PERFORMANCE = 0x34;
const LVT_LINT0 = 0x35;
const LVT_LINT1 = 0x36;
const LVT_ERROR = 0x37;
const INITIAL_COUNT = 0x38;
const CURRENT_COUNT = 0x39;
const DIVIDE = 0x3e;
/** x2APIC only. */
const SELF_IPI = 0x3f;

/** Version 0x14, highest LVT entry 5, no suppression of EOI broadcasts (figure 11-7). */
const versionValue = 0x0005_0014;
const LVT_MASKED = 0x1_0000;
const LVT_LEVEL = 0x8000;
const LVT_REMOTE_IRR = 0x4000;
/** The bits of each LVT register that can be written (figure 11-8). */
const lvtWritable: Record<number, number> = {
	[LVT_TIMER]: 0x7_00ff,
	[LVT_THERMAL]: 0x1_07ff,
	[LVT_PERFORMANCE]: 0x1_07ff,
	[LVT_LINT0]: 0x1_a7ff,
	[LVT_LINT1]: 0x1_a7ff,
	[LVT_ERROR]: 0x1_00ff,
};
const SVR_ENABLE = 0x100;
const ESR_SEND_ILLEGAL_VECTOR = 0x20;
const ESR_RECEIVE_ILLEGAL_VECTOR = 0x40;
const ESR_ILLEGAL_REGISTER = 0x80;

/** IA32_APIC_BASE (figure 11-5). */
const BASE_BSP = 0x100;
const BASE_X2APIC = 0x400;
const BASE_ENABLE = 0x800;

/** What a local APIC asks of its processor and of the machine. */
export interface LocalApicSurroundings {
	readonly clock: Clock;
	readonly bus: ApicBus;
	/** A maskable interrupt can be acknowledged, or no longer: the processor's INTR input. */
	interruptPending(pending: boolean): void;
	/** The interrupt acknowledge cycle of the 8259A pair, for ExtINT: the vector. */
	acknowledgeExternal(): number;
	nonMaskable(): void;
	systemManagement(): void;
	init(): void;
	/** SIPI: the processor starts at page `vector`. */
	startUp(vector: number): void;
	/** The first virtual time at which the time-stamp counter has reached `tsc`, for the TSC-deadline mode. */
	timeOfTsc(tsc: bigint): number;
}

interface LocalApicState {
	id: number;
	/** IA32_APIC_BASE bits 11-0; the page's address is kept beside it. */
	base: { flags: number; address: number };
	tpr: number;
	ldr: number;
	dfr: number;
	svr: number;
	esr: number;
	/** Errors since the last write of ESR. */
	errors: number;
	icrLow: number;
	icrHigh: number;
	/** By register number. */
	lvt: Record<number, number>;
	isr: number[];
	tmr: number[];
	irr: number[];
	/** The levels of LINT0 and LINT1. */
	lint: [boolean, boolean];
	/** An ExtINT message waits for its acknowledge. */
	externalMessage: boolean;
	timer: ApicTimerState;
}

function atReset(id: number, isBootstrap: boolean, lint: [boolean, boolean]): LocalApicState {
	const lvt: Record<number, number> = {};
	for (const register of Object.keys(lvtWritable)) lvt[Number(register)] = LVT_MASKED;
	return {
		id,
		base: { flags: BASE_ENABLE | (isBootstrap ? BASE_BSP : 0), address: 0xfee0_0000 },
		tpr: 0,
		ldr: 0,
		dfr: 0xffff_ffff,
		svr: 0xff,
		esr: 0,
		errors: 0,
		icrLow: 0,
		icrHigh: 0,
		lvt,
		isr: new Array(8).fill(0),
		tmr: new Array(8).fill(0),
		irr: new Array(8).fill(0),
		lint,
		externalMessage: false,
		timer: apicTimerAtReset(),
	};
}

/** The highest vector set in a 256-bit register, or -1. */
function highestVector(words: readonly number[]): number {
	for (let i = 7; i >= 0; i--) if (words[i] !== 0) return 32 * i + 31 - Math.clz32(words[i]!);
	return -1;
}

function setVector(words: number[], vector: number, value: boolean): void {
	const bit = 1 << (vector & 31);
	words[vector >> 5] = (value ? words[vector >> 5]! | bit : words[vector >> 5]! & ~bit) >>> 0;
}

/** One processor's local APIC. Register block: the 4 KiB page. */
export class LocalApic implements Device, RegisterBlock, ApicTarget {
	readonly name: string;
	/** The 8259A pair's INTR, as on a PC. */
	readonly lint0: InterruptLine = { set: (asserted) => this.setLint(0, asserted) };
	/** The PC's NMI. */
	readonly lint1: InterruptLine = { set: (asserted) => this.setLint(1, asserted) };
	private state: LocalApicState;
	private readonly timer: ApicTimer;
	private told = false;

	/** @param timerHertz frequency of the timer before its divider. */
	constructor(
		private readonly apicId: number,
		private readonly surroundings: LocalApicSurroundings,
		timerHertz = 1_000_000_000,
	) {
		this.name = `Local APIC ${apicId}`;
		const { clock } = surroundings;
		this.timer = new ApicTimer(clock, new TickRate(timerHertz), surroundings.timeOfTsc, () =>
			this.acceptFixed(this.state.lvt[LVT_TIMER]! & 0xff, false),
		);
		this.state = this.stateAtReset([false, false]);
		surroundings.bus.addTarget(this);
	}

	/** IA32_APIC_BASE.EN: when clear, INTR and NMI go straight to the processor and the page is plain memory space. */
	get enabled(): boolean {
		return (this.state.base.flags & BASE_ENABLE) !== 0;
	}

	get x2apic(): boolean {
		return (this.state.base.flags & BASE_X2APIC) !== 0;
	}

	/** IA32_APIC_BASE. */
	get baseMsr(): bigint {
		return BigInt(this.state.base.address) | BigInt(this.state.base.flags);
	}

	/**
	 * Writes IA32_APIC_BASE. False (nothing changes, the processor raises #GP) for reserved bits, an address beyond 2^52, and
	 * the mode changes that section 11.12.5 forbids: disabled to x2APIC, x2APIC to xAPIC, x2APIC without enable.
	 */
	writeBaseMsr(value: bigint): boolean {
		if (value < 0n || value >= 1n << 52n || value & 0x2ffn) return false;
		const flags = Number(value & 0xfffn);
		const enable = (flags & BASE_ENABLE) !== 0;
		const extended = (flags & BASE_X2APIC) !== 0;
		if (extended && !enable) return false;
		if (extended && !this.enabled) return false;
		if (this.x2apic && enable && !extended) return false;
		const wasEnabled = this.enabled;
		this.state.base = { flags, address: Number(value & ~0xfffn) };
		if (wasEnabled && !enable) {
			const { base, lint } = this.state;
			this.state = { ...this.stateAtReset(lint), base };
			this.timer.arm();
		}
		this.update();
		return true;
	}

	read(offset: number, size: AccessSize): number {
		const value = this.readRegister((offset >> 4) & 0xff);
		// Table 11-1: registers are 32 bits wide on 128-bit boundaries; anything else is undefined and reads as part of it.
		const within = offset & 0x0f;
		if (within >= 4) return 0;
		const shifted = value >>> (8 * within);
		return size === 4 ? shifted : size === 2 ? shifted & 0xffff : shifted & 0xff;
	}

	/** Only whole registers can be written; other writes are undefined and do nothing. */
	write(offset: number, size: AccessSize, value: number): void {
		if (size === 4 && (offset & 0x0f) === 0) this.writeRegister((offset >> 4) & 0xff, value >>> 0);
	}

	/** RDMSR of 0x800 + `register`; undefined means #GP (table 11-6). */
	readX2apic(register: number): bigint | undefined {
		if (!this.x2apic) return undefined;
		if (register === ICR_LOW) return (BigInt(this.state.icrHigh) << 32n) | BigInt(this.state.icrLow);
		if (register === LDR) return BigInt((((this.state.id >>> 4) << 16) | (1 << (this.state.id & 15))) >>> 0);
		if (register === ID) return BigInt(this.state.id);
		const readable = register in lvtWritable || this.readable.has(register) || (register >= ISR && register < ESR);
		if (!readable || [DFR, APR, EOI, ICR_HIGH].includes(register)) return undefined;
		return BigInt(this.readRegister(register));
	}

	/** WRMSR of 0x800 + `register`; false means #GP. */
	writeX2apic(register: number, value: bigint): boolean {
		if (!this.x2apic || value < 0n || value >= 1n << 64n) return false;
		const low = Number(value & 0xffff_ffffn);
		if (register === ICR_LOW) {
			this.state.icrHigh = Number(value >> 32n);
			this.writeRegister(ICR_LOW, low);
			return true;
		}
		if (value >> 32n) return false;
		if (register === SELF_IPI) {
			if (low > 0xff) return false;
			this.acceptFixed(low, false);
			return true;
		}
		if ((register === EOI || register === ESR) && low !== 0) return false;
		const simple = [TPR, EOI, SVR, ESR, INITIAL_COUNT, DIVIDE];
		if (!simple.includes(register) && !(register in lvtWritable)) return false;
		this.writeRegister(register, low);
		return true;
	}

	/** Reads a register by number; an unknown one reads 0 and is an error (ESR bit 7). */
	readRegister(register: number): number {
		const { state } = this;
		if (register >= ISR && register < ISR + 8) return state.isr[register - ISR]!;
		if (register >= TMR && register < TMR + 8) return state.tmr[register - TMR]!;
		if (register >= IRR && register < IRR + 8) return state.irr[register - IRR]!;
		if (register in lvtWritable) return state.lvt[register]!;
		if (!this.readable.has(register)) {
			this.raiseError(ESR_ILLEGAL_REGISTER);
			return 0;
		}
		return this.plainRegister(register);
	}

	/** Writes a register by number as the page does; an unknown one is an error (ESR bit 7). */
	writeRegister(register: number, value: number): void {
		const { state } = this;
		switch (register) {
			case ID:
				if (!this.x2apic) state.id = value >>> 24;
				break;
			case TPR:
				state.tpr = value & 0xff;
				break;
			case EOI:
				this.endInService();
				break;
			case LDR:
				state.ldr = (value & 0xff00_0000) >>> 0;
				break;
			case DFR:
				state.dfr = (value | 0x0fff_ffff) >>> 0;
				break;
			case SVR:
				state.svr = value & 0x3ff;
				if (!(state.svr & SVR_ENABLE))
					for (const entry of Object.keys(lvtWritable)) this.writeLvt(Number(entry), state.lvt[Number(entry)]!);
				break;
			case ESR:
				state.esr = state.errors;
				state.errors = 0;
				break;
			case ICR_LOW:
				// Delivery status (bit 12) reads 0: delivery takes no time.
				state.icrLow = value & 0xc_cfff;
				this.sendInterprocessorInterrupt();
				break;
			case ICR_HIGH:
				state.icrHigh = (value & 0xff00_0000) >>> 0;
				break;
			case INITIAL_COUNT:
				this.timer.writeInitialCount(value);
				break;
			case DIVIDE:
				this.timer.writeDivideConfiguration(value);
				break;
			case VERSION:
			case APR:
			case PPR:
			case CURRENT_COUNT:
				break;
			default:
				if (register in lvtWritable) this.writeLvt(register, value);
				else if (register < ISR || register >= ESR) this.raiseError(ESR_ILLEGAL_REGISTER);
		}
		this.update();
	}

	/** A write to EOI. */
	endOfInterrupt(): void {
		this.writeRegister(EOI, 0);
	}

	/** IA32_TSC_DEADLINE (section 11.5.4.1). */
	get tscDeadline(): bigint {
		return this.timer.tscDeadline;
	}

	writeTscDeadline(value: bigint): void {
		this.timer.writeTscDeadline(value);
	}

	/** CR8, bits 7-4 of the TPR (section 11.8.6). */
	get taskPriorityClass(): number {
		return this.state.tpr >> 4;
	}

	set taskPriorityClass(value: number) {
		this.state.tpr = (value & 15) << 4;
		this.update();
	}

	/** Section 11.8.3.1: the higher of task priority and the class in service. */
	get processorPriority(): number {
		const { tpr, isr } = this.state;
		const inService = Math.max(highestVector(isr), 0);
		return tpr >> 4 >= inService >> 4 ? tpr : inService & 0xf0;
	}

	/** The processor takes a maskable interrupt: the vector. ExtINT comes from the 8259A pair; a request that has gone gives the spurious vector. */
	acknowledge(): number {
		const { state } = this;
		if (this.externalPending()) {
			state.externalMessage = false;
			const vector = this.surroundings.acknowledgeExternal();
			this.update();
			return vector;
		}
		const vector = this.deliverable();
		if (vector < 0) {
			this.update();
			return state.svr & 0xff;
		}
		setVector(state.irr, vector, false);
		setVector(state.isr, vector, true);
		this.update();
		return vector;
	}

	matches(message: InterruptMessage): boolean {
		if (!this.enabled) return false;
		const { destination } = message;
		if (!message.logical) {
			if (destination === (this.x2apic ? 0xffff_ffff : 0xff) || destination === 0xff) return true;
			return destination === this.state.id;
		}
		if (this.x2apic) {
			const { id } = this.state;
			return destination >>> 16 === id >>> 4 && ((destination >>> (id & 15)) & 1) === 1;
		}
		const own = this.state.ldr >>> 24;
		// Section 11.6.2.2: flat model, or clusters in the upper four bits.
		if (this.state.dfr >>> 28 === 0x0f) return (own & destination) !== 0;
		const cluster = destination >> 4;
		return (cluster === 0x0f || cluster === own >> 4) && (own & destination & 0x0f) !== 0;
	}

	accept(message: InterruptMessage): void {
		this.take(message.deliveryMode, message.vector, message.levelTriggered);
	}

	/**
	 * Sets the virtual wire mode in which firmware hands over (MultiProcessor Specification 1.4, section 3.6.2.2): enabled, LINT0 is
	 * ExtINT, LINT1 is NMI. For machines that start a kernel without firmware.
	 */
	enterVirtualWireMode(): void {
		this.writeRegister(SVR, SVR_ENABLE | 0xff);
		this.writeRegister(LVT_LINT0, DeliveryMode.externalInterrupt << 8);
		this.writeRegister(LVT_LINT1, DeliveryMode.nonMaskable << 8);
	}

	/** The processor's number, which is its initial APIC ID. */
	get number(): number {
		return this.apicId;
	}

	/** What INIT does (section 11.4.7.3): as power-on, but APIC ID and IA32_APIC_BASE stay. */
	initialize(): void {
		const { base, id } = this.state;
		this.reset();
		Object.assign(this.state, { base, id });
		this.update();
	}

	/** As power-on leaves it; the levels of LINT0 and LINT1 are the outside's. */
	reset(): void {
		this.state = this.stateAtReset(this.state.lint);
		this.timer.arm();
		this.update();
	}

	save(): unknown {
		return structuredClone(this.state);
	}

	restore(state: unknown): void {
		this.state = structuredClone(state as LocalApicState);
		this.timer.state = this.state.timer;
		this.timer.arm();
		this.told = !this.wanted();
		this.update();
	}

	registers(): RegisterView[] {
		const { state } = this;
		const names: [string, number, string?][] = [
			["ID", ID],
			["VERSION", VERSION],
			["TPR", TPR],
			["PPR", PPR],
			["LDR", LDR],
			["DFR", DFR],
			["SVR", SVR, `${state.svr & SVR_ENABLE ? "enabled" : "software disabled"}, spurious vector ${state.svr & 0xff}`],
			["ESR", ESR],
			["ICR low", ICR_LOW],
			["ICR high", ICR_HIGH],
			["initial count", INITIAL_COUNT],
			["current count", CURRENT_COUNT],
			["divide", DIVIDE],
		];
		const vectors = (words: readonly number[]) => {
			const set: string[] = [];
			for (let v = 0; v < 256; v++) if ((words[v >> 5]! >>> (v & 31)) & 1) set.push(hex(v, 8));
			return set.join(" ");
		};
		const wide = (words: readonly number[]) => words.reduceRight((all, word) => (all << 32n) | BigInt(word), 0n);
		const lvt: [string, number][] = [
			["LVT timer", LVT_TIMER],
			["LVT thermal", LVT_THERMAL],
			["LVT performance", LVT_PERFORMANCE],
			["LVT LINT0", LVT_LINT0],
			["LVT LINT1", LVT_LINT1],
			["LVT error", LVT_ERROR],
		];
		return [
			{
				name: "IA32_APIC_BASE",
				width: 64,
				value: this.baseMsr,
				meaning: this.enabled ? (this.x2apic ? "x2APIC" : "xAPIC") : "disabled",
			},
			...names.map(([name, register, meaning]) => ({
				name,
				width: 32,
				value: this.plainRegister(register),
				...(meaning ? { meaning } : {}),
			})),
			...lvt.map(([name, register]) => ({
				name,
				width: 32,
				value: state.lvt[register]!,
				meaning: `vector ${hex(state.lvt[register]! & 0xff, 8)}${state.lvt[register]! & LVT_MASKED ? ", masked" : ""}`,
			})),
			{ name: "ISR", width: 256, value: wide(state.isr), meaning: vectors(state.isr) },
			{ name: "TMR", width: 256, value: wide(state.tmr), meaning: vectors(state.tmr) },
			{ name: "IRR", width: 256, value: wide(state.irr), meaning: vectors(state.irr) },
		];
	}

	private readonly readable = new Set([
		...[ID, VERSION, TPR, APR, PPR, EOI, LDR, DFR, SVR, ESR, ICR_LOW, ICR_HIGH, INITIAL_COUNT, CURRENT_COUNT, DIVIDE],
	]);

	/** A register whose reading has no side effect. */
	private plainRegister(register: number): number {
		const { state } = this;
		switch (register) {
			case ID:
				return this.x2apic ? state.id : (state.id << 24) >>> 0;
			case VERSION:
				return versionValue;
			case TPR:
				return state.tpr;
			case APR:
			case PPR:
				return this.processorPriority;
			case LDR:
				return state.ldr;
			case DFR:
				return state.dfr;
			case SVR:
				return state.svr;
			case ESR:
				return state.esr;
			case ICR_LOW:
				return state.icrLow;
			case ICR_HIGH:
				return state.icrHigh;
			case INITIAL_COUNT:
				return state.timer.initialCount;
			case CURRENT_COUNT:
				return this.timer.currentCount;
			case DIVIDE:
				return state.timer.divideConfiguration;
			default:
				return 0;
		}
	}

	private stateAtReset(lint: [boolean, boolean]): LocalApicState {
		const state = atReset(this.apicId, this.apicId === 0, lint);
		this.timer.state = state.timer;
		return state;
	}

	private writeLvt(register: number, value: number): void {
		const { state } = this;
		let entry = (value & lvtWritable[register]!) | (state.lvt[register]! & LVT_REMOTE_IRR);
		// Section 11.4.7.2: while the APIC is software disabled the mask bits are set and stay so.
		if (!(state.svr & SVR_ENABLE)) entry |= LVT_MASKED;
		state.lvt[register] = entry;
		if (register === LVT_TIMER) {
			const mode = (entry >> 17) & 3;
			this.timer.configure(mode === 3 ? TimerMode.oneShot : mode, (entry & LVT_MASKED) !== 0);
		}
		if (register === LVT_LINT0 || register === LVT_LINT1) {
			if (!(entry & LVT_LEVEL)) state.lvt[register] = entry & ~LVT_REMOTE_IRR;
			this.offerLevel(register);
		}
	}

	private setLint(pin: 0 | 1, asserted: boolean): void {
		const { state } = this;
		if (state.lint[pin] === asserted) return;
		state.lint[pin] = asserted;
		if (!this.enabled) {
			if (pin === 1 && asserted) this.surroundings.nonMaskable();
		} else if (asserted) {
			const register = pin === 0 ? LVT_LINT0 : LVT_LINT1;
			const entry = state.lvt[register]!;
			const mode = (entry >> 8) & 7;
			if (mode === DeliveryMode.fixed && entry & LVT_LEVEL) this.offerLevel(register);
			else if (!(entry & LVT_MASKED) && mode !== DeliveryMode.externalInterrupt) this.take(mode, entry & 0xff, false);
		}
		this.update();
	}

	/** A level-triggered fixed interrupt of LINT0 or LINT1 is delivered once until its EOI. */
	private offerLevel(register: number): void {
		const { state } = this;
		const entry = state.lvt[register]!;
		const asserted = state.lint[register - LVT_LINT0]!;
		if (!asserted || !(entry & LVT_LEVEL) || entry & (LVT_MASKED | LVT_REMOTE_IRR | 0x700)) return;
		state.lvt[register] = entry | LVT_REMOTE_IRR;
		this.acceptFixed(entry & 0xff, true);
	}

	private externalPending(): boolean {
		const { state } = this;
		if (!this.enabled) return state.lint[0];
		if (state.externalMessage) return true;
		const isExternal = (entry: number) =>
			!(entry & LVT_MASKED) && ((entry >> 8) & 7) === DeliveryMode.externalInterrupt;
		return (state.lint[0] && isExternal(state.lvt[LVT_LINT0]!)) || (state.lint[1] && isExternal(state.lvt[LVT_LINT1]!));
	}

	/** The vector that the processor would be given now, or -1. */
	private deliverable(): number {
		if (!this.enabled) return -1;
		const vector = highestVector(this.state.irr);
		return vector >= 0 && vector >> 4 > this.processorPriority >> 4 ? vector : -1;
	}

	private wanted(): boolean {
		return this.externalPending() || this.deliverable() >= 0;
	}

	private update(): void {
		const wanted = this.wanted();
		if (wanted === this.told) return;
		this.told = wanted;
		this.surroundings.interruptPending(wanted);
	}

	private take(mode: number, vector: number, levelTriggered: boolean): void {
		if (!this.enabled) return;
		switch (mode) {
			case DeliveryMode.fixed:
			case DeliveryMode.lowestPriority:
				this.acceptFixed(vector, levelTriggered);
				break;
			case DeliveryMode.systemManagement:
				this.surroundings.systemManagement();
				break;
			case DeliveryMode.nonMaskable:
				this.surroundings.nonMaskable();
				break;
			case DeliveryMode.init:
				this.surroundings.init();
				break;
			case DeliveryMode.startUp:
				this.surroundings.startUp(vector);
				break;
			case DeliveryMode.externalInterrupt:
				this.state.externalMessage = true;
				this.update();
				break;
		}
	}

	private acceptFixed(vector: number, levelTriggered: boolean): void {
		const { state } = this;
		if (!(state.svr & SVR_ENABLE)) return;
		if (vector < 16) {
			this.raiseError(ESR_RECEIVE_ILLEGAL_VECTOR);
			return;
		}
		setVector(state.irr, vector, true);
		setVector(state.tmr, vector, levelTriggered);
		this.update();
	}

	private endInService(): void {
		const { state } = this;
		const vector = highestVector(state.isr);
		if (vector < 0) return;
		setVector(state.isr, vector, false);
		if (!((state.tmr[vector >> 5]! >>> (vector & 31)) & 1)) return;
		for (const register of [LVT_LINT0, LVT_LINT1]) {
			const entry = state.lvt[register]!;
			if (!(entry & LVT_REMOTE_IRR) || (entry & 0xff) !== vector) continue;
			state.lvt[register] = entry & ~LVT_REMOTE_IRR;
			this.offerLevel(register);
		}
		this.surroundings.bus.endOfInterrupt(vector);
	}

	private sendInterprocessorInterrupt(): void {
		const { icrLow, icrHigh } = this.state;
		const deliveryMode = (icrLow >> 8) & 7;
		const vector = icrLow & 0xff;
		const levelTriggered = (icrLow & 0x8000) !== 0;
		// INIT level de-assert does nothing on these processors (section 11.6.1); modes 3 and 7 are reserved.
		if (deliveryMode === DeliveryMode.init && levelTriggered && !(icrLow & 0x4000)) return;
		if (deliveryMode === 3 || deliveryMode === DeliveryMode.externalInterrupt) return;
		if (deliveryMode <= DeliveryMode.lowestPriority && vector < 16) {
			this.raiseError(ESR_SEND_ILLEGAL_VECTOR);
			return;
		}
		const message: InterruptMessage = {
			destination: this.x2apic ? icrHigh : icrHigh >>> 24,
			logical: (icrLow & 0x800) !== 0,
			deliveryMode,
			vector,
			// IPIs are edge triggered whatever bit 15 says (section 11.6.1, trigger mode).
			levelTriggered: false,
		};
		const { bus } = this.surroundings;
		switch ((icrLow >> 18) & 3) {
			case 0:
				bus.deliver(message);
				break;
			case 1:
				if (deliveryMode <= DeliveryMode.lowestPriority) this.accept(message);
				break;
			case 2:
				bus.broadcast(message);
				break;
			default:
				bus.broadcast(message, this);
		}
	}

	private raiseError(error: number): void {
		const { state } = this;
		const isNew = (state.errors & error) === 0;
		state.errors |= error;
		const entry = state.lvt[LVT_ERROR]!;
		if (!isNew || entry & LVT_MASKED) return;
		// An error interrupt whose own vector is illegal must not raise another.
		if ((entry & 0xff) < 16) state.errors |= ESR_RECEIVE_ILLEGAL_VECTOR;
		else this.acceptFixed(entry & 0xff, false);
	}
}

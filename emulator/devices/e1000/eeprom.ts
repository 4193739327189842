// The serial EEPROM behind the controller: 64 words, read by EERD or by the four wires of EECD (a 93C46 on a Microwire bus).
// Reference: Intel 317453, §5.3 "EEPROM interface", §5.6 "EEPROM map", §13.4.3 (EECD), §13.4.4 (EERD).

const WORDS = 64;
const ADDRESS_BITS = 6;
/** All words add up to it. */
const CHECKSUM = 0xbaba;

const Wire = { clock: 1, select: 2, dataIn: 4, dataOut: 8, request: 0x40, grant: 0x80, present: 0x100 } as const;
const WRITABLE = Wire.clock | Wire.select | Wire.dataIn | Wire.request;
/** Start bit and opcode, then the address. */
const READ = 0b110;
const COMMAND_BITS = 3 + ADDRESS_BITS;

interface EepromState {
	wires: number;
	/** Bits shifted in since the start bit. */
	bits: number;
	shifted: number;
	/** What is shifted out, highest bit first, and how many bits are left; 0: nothing. */
	word: number;
	left: number;
	out: boolean;
}

export class Eeprom {
	private readonly words = new Uint16Array(WORDS);
	private state: EepromState = idle();

	constructor(hardwareAddress: readonly number[]) {
		for (let i = 0; i < 3; i++) this.words[i] = hardwareAddress[2 * i]! | (hardwareAddress[2 * i + 1]! << 8);
		// Subsystem, its vendor, device, vendor (words 0bH to 0eH).
		this.words.set([0x001e, 0x8086, 0x100e, 0x8086], 0x0b);
		this.words[WORDS - 1] = CHECKSUM - this.words.reduce((sum, word) => sum + word, 0);
	}

	word(address: number): number {
		return this.words[address & (WORDS - 1)]!;
	}

	/** What EECD reads: the wires, and the bus granted to whoever asks. */
	get control(): number {
		const { wires, out } = this.state;
		return wires | Wire.present | (out ? Wire.dataOut : 0) | (wires & Wire.request ? Wire.grant : 0);
	}

	set control(value: number) {
		const { state } = this;
		const rises = value & ~state.wires & Wire.clock;
		state.wires = value & WRITABLE;
		if (!(value & Wire.select)) this.state = { ...idle(), wires: state.wires };
		else if (rises) this.clock((value & Wire.dataIn) !== 0);
	}

	private clock(bit: boolean): void {
		const { state } = this;
		if (state.left > 0) {
			state.left--;
			state.out = ((state.word >> state.left) & 1) === 1;
			return;
		}
		// Zeros before the start bit mean nothing.
		if (state.bits === 0 && !bit) return;
		state.shifted = ((state.shifted << 1) | (bit ? 1 : 0)) & 0xffff;
		if (++state.bits < COMMAND_BITS) return;
		const isRead = state.shifted >> ADDRESS_BITS === READ;
		state.word = this.word(state.shifted);
		state.left = isRead ? 16 : 0;
		state.out = false;
		state.bits = state.shifted = 0;
	}

	reset(): void {
		this.state = idle();
	}

	save(): unknown {
		return { ...this.state };
	}

	restore(state: unknown): void {
		this.state = { ...(state as EepromState) };
	}
}

function idle(): EepromState {
	return { wires: 0, bits: 0, shifted: 0, word: 0, left: 0, out: false };
}

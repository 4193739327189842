// A PS/2 keyboard: its commands and answers, without the wire. Reference: IBM Personal System/2 Hardware Interface Technical
// Reference, "Keyboard", commands to and from the system.

import { scanCodes, translate } from "./scan-codes.ts";

const ACKNOWLEDGE = 0xfa;
const RESEND = 0xfe;
const SELF_TEST_PASSED = 0xaa;
const OVERRUN = 0x00;
/** Bytes of keys that the keyboard keeps while the system does not take them. */
const bufferLimit = 16;

export interface KeyboardState {
	/** Bytes on their way to the controller. */
	output: number[];
	scanning: boolean;
	scanCodeSet: number;
	leds: number;
	typematic: number;
	/** A command that waits for its argument, or 0. */
	awaits: number;
	lastSent: number;
}

export function keyboardAtPowerOn(): KeyboardState {
	return {
		output: [],
		scanning: true,
		scanCodeSet: 2,
		leds: 0,
		typematic: 0x2b,
		awaits: 0,
		lastSent: SELF_TEST_PASSED,
	};
}

/** A key goes down or up. False if the keyboard has no such key; a full buffer ends with an overrun code. */
export function pressKey(state: KeyboardState, key: string, pressed: boolean): boolean {
	const codes = scanCodes(key, pressed);
	if (codes === undefined) return false;
	if (!state.scanning) return true;
	const bytes = state.scanCodeSet === 1 ? translate(codes).bytes : codes;
	if (state.output.length + bytes.length <= bufferLimit) state.output.push(...bytes);
	else if (state.output.at(-1) !== OVERRUN && state.output.length <= bufferLimit) state.output.push(OVERRUN);
	return true;
}

/** A byte from the controller. */
export function commandKeyboard(state: KeyboardState, byte: number): void {
	const answer = (...bytes: number[]) => {
		if (state.output.length + bytes.length <= 2 * bufferLimit) state.output.push(...bytes);
	};
	const command = state.awaits;
	state.awaits = 0;
	// A command byte in place of an argument is taken as a command.
	if (command !== 0 && byte < 0xed) {
		argument(state, command, byte, answer);
		return;
	}
	switch (byte) {
		case 0xed: // set LEDs
		case 0xf0: // select scan code set
		case 0xf3: // typematic rate and delay
			state.awaits = byte;
			answer(ACKNOWLEDGE);
			break;
		case 0xee: // echo
			answer(0xee);
			break;
		case 0xf2: // read ID
			answer(ACKNOWLEDGE, 0xab, 0x83);
			break;
		case 0xf4: // enable
		case 0xf5: // default disable
		case 0xf6: // set default
			state.output = [];
			if (byte !== 0xf4) Object.assign(state, { scanCodeSet: 2, typematic: 0x2b });
			state.scanning = byte !== 0xf5;
			answer(ACKNOWLEDGE);
			break;
		case 0xfe: // resend
			answer(state.lastSent);
			break;
		case 0xff: // reset
			Object.assign(state, keyboardAtPowerOn());
			answer(ACKNOWLEDGE, SELF_TEST_PASSED);
			break;
		default:
			answer(RESEND);
	}
}

function argument(state: KeyboardState, command: number, byte: number, answer: (...bytes: number[]) => void): void {
	if (command === 0xed) state.leds = byte & 7;
	else if (command === 0xf3) state.typematic = byte & 0x7f;
	else if (byte === 0) {
		answer(ACKNOWLEDGE, state.scanCodeSet);
		return;
	} else if (byte === 1 || byte === 2) state.scanCodeSet = byte;
	else {
		// Deviation: scan code set 3 is not there and is refused.
		answer(RESEND);
		return;
	}
	answer(ACKNOWLEDGE);
}

// A PS/2 mouse with three buttons: its commands and packets, without the wire. Reference: IBM Personal System/2 Hardware
// Interface Technical Reference, "Auxiliary device".

const ACKNOWLEDGE = 0xfa;
const RESEND = 0xfe;
/** Bytes that may wait for the system; further movement is added up, not queued. */
const bufferLimit = 48;

export interface MouseState {
	output: number[];
	reporting: boolean;
	remote: boolean;
	wrap: boolean;
	scaling: boolean;
	resolution: number;
	sampleRate: number;
	/** Buttons: left, right, middle in bits 0-2. */
	buttons: number;
	/** Movement not yet reported, in counts; y upwards. */
	x: number;
	y: number;
	awaits: number;
}

export function mouseAtPowerOn(): MouseState {
	return {
		output: [],
		reporting: false,
		remote: false,
		wrap: false,
		scaling: false,
		resolution: 2,
		sampleRate: 100,
		buttons: 0,
		x: 0,
		y: 0,
		awaits: 0,
	};
}

const clamp = (value: number) => Math.max(-255, Math.min(255, value));

function packet(state: MouseState): number[] {
	const x = clamp(state.x);
	const y = clamp(state.y);
	state.x -= x;
	state.y -= y;
	return [0x08 | state.buttons | (x < 0 ? 0x10 : 0) | (y < 0 ? 0x20 : 0), x & 0xff, y & 0xff];
}

/** The mouse moves by `x` (right) and `y` (up) counts and has `buttons` (left 1, right 2, middle 4) held. */
export function moveMouse(state: MouseState, x: number, y: number, buttons: number): void {
	const limit = 0x7fff;
	state.x = Math.max(-limit, Math.min(limit, state.x + Math.trunc(x)));
	state.y = Math.max(-limit, Math.min(limit, state.y + Math.trunc(y)));
	state.buttons = buttons & 7;
	if (!state.reporting || state.remote || state.wrap) return;
	do {
		if (state.output.length + 3 > bufferLimit) return;
		state.output.push(...packet(state));
	} while (state.x !== 0 || state.y !== 0);
}

/** A byte from the controller. */
export function commandMouse(state: MouseState, byte: number): void {
	const answer = (...bytes: number[]) => {
		if (state.output.length + bytes.length <= 2 * bufferLimit) state.output.push(...bytes);
	};
	const command = state.awaits;
	state.awaits = 0;
	if (command !== 0) {
		if (command === 0xf3) state.sampleRate = byte;
		else state.resolution = byte & 3;
		answer(ACKNOWLEDGE);
		return;
	}
	if (state.wrap && byte !== 0xff && byte !== 0xec) {
		answer(byte);
		return;
	}
	switch (byte) {
		case 0xe6: // scaling 1:1
		case 0xe7: // scaling 2:1
			state.scaling = byte === 0xe7;
			break;
		case 0xe8: // resolution
		case 0xf3: // sample rate
			state.awaits = byte;
			break;
		case 0xe9: {
			const mode = (state.remote ? 0x40 : 0) | (state.reporting ? 0x20 : 0) | (state.scaling ? 0x10 : 0);
			const { buttons } = state;
			const held = ((buttons & 1) << 2) | ((buttons & 4) >> 1) | ((buttons & 2) >> 1);
			answer(ACKNOWLEDGE, mode | held, state.resolution, state.sampleRate);
			return;
		}
		case 0xea: // stream mode
			state.remote = false;
			break;
		case 0xeb: // read data
			answer(ACKNOWLEDGE, ...packet(state));
			return;
		case 0xec: // reset wrap mode
		case 0xee: // set wrap mode
			state.wrap = byte === 0xee;
			break;
		case 0xf0: // remote mode
			state.remote = true;
			break;
		case 0xf2: // read device type: a standard mouse
			answer(ACKNOWLEDGE, 0x00);
			return;
		case 0xf4: // enable
		case 0xf5: // disable
			state.reporting = byte === 0xf4;
			break;
		case 0xf6: // set default
			Object.assign(state, { ...mouseAtPowerOn(), output: state.output, buttons: state.buttons });
			break;
		case 0xff: // reset
			Object.assign(state, { ...mouseAtPowerOn(), buttons: state.buttons });
			answer(ACKNOWLEDGE, 0xaa, 0x00);
			return;
		default:
			answer(RESEND);
			return;
	}
	answer(ACKNOWLEDGE);
}

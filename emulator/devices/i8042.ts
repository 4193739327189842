// The 8042 keyboard controller with a PS/2 keyboard and a PS/2 mouse. References: IBM Personal System/2 Hardware Interface
// Technical Reference, "Keyboard and Auxiliary Device Controller"; IBM PC AT Technical Reference.

import type { Device, InterruptLine, RegisterBlock, RegisterView } from "./device.ts";
import { commandKeyboard, type KeyboardState, keyboardAtPowerOn, pressKey } from "./ps2-keyboard.ts";
import { commandMouse, type MouseState, mouseAtPowerOn, moveMouse } from "./ps2-mouse.ts";
import { bits } from "./register-format.ts";
import { translate } from "./scan-codes.ts";

const STATUS_OUTPUT_FULL = 0x01;
const STATUS_SYSTEM = 0x04;
const STATUS_COMMAND = 0x08;
const STATUS_NOT_LOCKED = 0x10;
const STATUS_AUXILIARY = 0x20;

/** Command byte: byte 0 of the controller's memory. */
const KEYBOARD_INTERRUPT = 0x01;
const AUXILIARY_INTERRUPT = 0x02;
const SYSTEM_FLAG = 0x04;
const KEYBOARD_DISABLED = 0x10;
const AUXILIARY_DISABLED = 0x20;
const TRANSLATE = 0x40;

const OUTPUT_NOT_RESET = 0x01;
const OUTPUT_A20 = 0x02;

/** Where the byte in the output buffer comes from. */
type Source = "controller" | "keyboard" | "mouse";

interface I8042State {
	/** The controller's 32 bytes of memory; the first is the command byte. */
	memory: number[];
	outputPort: number;
	/** The output buffer, or null when it is empty. */
	output: { byte: number; source: Source } | null;
	/** Answers of the controller that follow. */
	answers: number[];
	/** A command that waits for its byte at port 0x60, or 0. */
	awaits: number;
	/** The last write was to port 0x64. */
	wasCommand: boolean;
	/** An 0xf0 of the keyboard's set 2 has been taken and its code has not. */
	breaks: boolean;
	keyboard: KeyboardState;
	mouse: MouseState;
	/** The last byte read: port 0x60 shows it again. */
	lastByte: number;
}

function powerOn(): I8042State {
	const memory = new Array<number>(32).fill(0);
	// As firmware leaves it: keyboard interrupt and translation on, self test passed, mouse off.
	memory[0] = KEYBOARD_INTERRUPT | SYSTEM_FLAG | AUXILIARY_DISABLED | TRANSLATE;
	return {
		memory,
		outputPort: OUTPUT_NOT_RESET | OUTPUT_A20,
		output: null,
		answers: [],
		awaits: 0,
		wasCommand: false,
		breaks: false,
		keyboard: keyboardAtPowerOn(),
		mouse: mouseAtPowerOn(),
		lastByte: 0,
	};
}

/** Register blocks: `data` (port 0x60) and `command` (port 0x64). Bytes take no time on the wire. */
export class I8042 implements Device {
	readonly name = "8042";
	readonly data: RegisterBlock = {
		widestAccess: 1,
		read: () => this.readData(),
		write: (_offset, _size, value) => this.writeData(value & 0xff),
	};
	readonly command: RegisterBlock = {
		widestAccess: 1,
		read: () => this.status(),
		write: (_offset, _size, value) => this.writeCommand(value & 0xff),
	};
	private state = powerOn();

	/**
	 * @param onA20 the output port's A20 bit, whenever it is written.
	 * @param onReset the reset line is pulsed (command 0xfe) or pulled low.
	 */
	constructor(
		private readonly irq1: InterruptLine,
		private readonly irq12: InterruptLine,
		private readonly onA20: (enabled: boolean) => void,
		private readonly onReset: () => void,
	) {}

	/** A key of the user, named as KeyboardEvent.code; false if a PS/2 keyboard has no such key. */
	key(name: string, pressed: boolean): boolean {
		const known = pressKey(this.state.keyboard, name, pressed);
		this.advance();
		return known;
	}

	/** The user's mouse moves by counts (right and up) and has these buttons held: left 1, right 2, middle 4. */
	mouse(x: number, y: number, buttons: number): void {
		moveMouse(this.state.mouse, x, y, buttons);
		this.advance();
	}

	/** Port 0x92, the other source of the A20 gate, has set it: the output port shows it. */
	followA20(enabled: boolean): void {
		const { state } = this;
		state.outputPort = enabled ? state.outputPort | OUTPUT_A20 : state.outputPort & ~OUTPUT_A20;
	}

	reset(): void {
		this.state = powerOn();
		this.onA20(true);
		this.advance();
	}

	save(): unknown {
		return structuredClone(this.state);
	}

	restore(state: unknown): void {
		this.state = structuredClone(state as I8042State);
		this.onA20((this.state.outputPort & OUTPUT_A20) !== 0);
		this.drive();
	}

	registers(): RegisterView[] {
		const { memory, outputPort, output, keyboard, mouse } = this.state;
		const flags = ["keyboard interrupt", "mouse interrupt", "system", "", "keyboard off", "mouse off", "translate"];
		const leds = bits(keyboard.leds, ["scroll", "num", "caps"]);
		return [
			{
				name: "status",
				width: 8,
				value: this.status(),
				meaning: bits(this.status(), ["output full", "", "system", "command", "", "mouse byte"]),
			},
			{ name: "command byte", width: 8, value: memory[0]!, meaning: bits(memory[0]!, flags) },
			{ name: "output port", width: 8, value: outputPort, meaning: bits(outputPort, ["no reset", "A20"]) },
			{
				name: "output buffer",
				width: 8,
				value: output?.byte ?? 0,
				meaning: output ? `from the ${output.source}` : "empty",
			},
			{ name: "keyboard LEDs", width: 3, value: keyboard.leds, meaning: leds },
			{ name: "keyboard bytes", width: 8, value: keyboard.output.length, meaning: `set ${keyboard.scanCodeSet}` },
			{ name: "mouse bytes", width: 8, value: mouse.output.length, meaning: mouse.reporting ? "reports" : "silent" },
		];
	}

	private status(): number {
		const { output, memory, wasCommand } = this.state;
		return (
			STATUS_NOT_LOCKED |
			(memory[0]! & STATUS_SYSTEM) |
			(wasCommand ? STATUS_COMMAND : 0) |
			(output ? STATUS_OUTPUT_FULL : 0) |
			(output?.source === "mouse" ? STATUS_AUXILIARY : 0)
		);
	}

	private readData(): number {
		const { state } = this;
		if (state.output) {
			state.lastByte = state.output.byte;
			state.output = null;
			this.drive();
			this.advance();
		}
		return state.lastByte;
	}

	private writeData(value: number): void {
		const { state } = this;
		const command = state.awaits;
		state.awaits = 0;
		state.wasCommand = false;
		if (command >= 0x60 && command <= 0x7f) state.memory[command & 31] = value;
		else if (command === 0xd1) this.writeOutputPort(value);
		else if (command === 0xd2 || command === 0xd3) this.put(value, command === 0xd2 ? "keyboard" : "mouse");
		else if (command === 0xd4) {
			state.memory[0]! &= ~AUXILIARY_DISABLED;
			commandMouse(state.mouse, value);
		} else {
			// A byte for the keyboard switches its clock on.
			state.memory[0]! &= ~KEYBOARD_DISABLED;
			commandKeyboard(state.keyboard, value);
		}
		this.advance();
	}

	private writeCommand(command: number): void {
		const { state } = this;
		state.wasCommand = true;
		state.awaits = 0;
		const answer = (byte: number) => {
			// Commands without reading the answers keep only the last few.
			if (state.answers.length < 4) state.answers.push(byte);
		};
		if (command >= 0x20 && command <= 0x3f) answer(state.memory[command & 31]!);
		else if ((command >= 0x60 && command <= 0x7f) || (command >= 0xd1 && command <= 0xd4)) state.awaits = command;
		else if (command >= 0xf0) {
			// Pulses the output port's bits 0-3 whose command bit is 0; bit 0 is the processor's reset.
			if (!(command & 1)) this.onReset();
		} else
			switch (command) {
				case 0xa7:
					state.memory[0]! |= AUXILIARY_DISABLED;
					break;
				case 0xa8:
					state.memory[0]! &= ~AUXILIARY_DISABLED;
					break;
				case 0xa9: // test of the mouse's lines: no fault
					answer(0x00);
					break;
				case 0xaa: // self test
					state.memory[0]! |= SYSTEM_FLAG;
					answer(0x55);
					break;
				case 0xab: // test of the keyboard's lines: no fault
					answer(0x00);
					break;
				case 0xad:
					state.memory[0]! |= KEYBOARD_DISABLED;
					break;
				case 0xae:
					state.memory[0]! &= ~KEYBOARD_DISABLED;
					break;
				case 0xc0: // input port: keyboard not locked
					answer(0x80);
					break;
				case 0xd0:
					answer(state.outputPort | (state.output ? (state.output.source === "mouse" ? 0x20 : 0x10) : 0));
					break;
				case 0xdd:
				case 0xdf:
					this.writeOutputPort(command === 0xdf ? state.outputPort | OUTPUT_A20 : state.outputPort & ~OUTPUT_A20);
					break;
				// Other commands are reserved and do nothing.
			}
		this.advance();
	}

	private writeOutputPort(value: number): void {
		this.state.outputPort = value & 0xcf;
		this.onA20((value & OUTPUT_A20) !== 0);
		if (!(value & OUTPUT_NOT_RESET)) {
			this.state.outputPort |= OUTPUT_NOT_RESET;
			this.onReset();
		}
	}

	/** Puts a byte into the output buffer; one that waits there is overwritten (commands 0xd2 and 0xd3 only). */
	private put(byte: number, source: Source): void {
		this.state.output = { byte, source };
		this.drive();
	}

	/** Moves the next byte into the empty output buffer: the controller's answers first, then keyboard, then mouse. */
	private advance(): void {
		const { state } = this;
		while (state.output === null) {
			const flags = state.memory[0]!;
			if (state.answers.length > 0) this.put(state.answers.shift()!, "controller");
			else if (state.keyboard.output.length > 0 && !(flags & KEYBOARD_DISABLED)) {
				const byte = state.keyboard.output.shift()!;
				state.keyboard.lastSent = byte;
				if (!(flags & TRANSLATE)) this.put(byte, "keyboard");
				else {
					const translated = translate([byte], state.breaks);
					state.breaks = translated.breaks;
					if (translated.bytes.length > 0) this.put(translated.bytes[0]!, "keyboard");
				}
			} else if (state.mouse.output.length > 0 && !(flags & AUXILIARY_DISABLED)) {
				this.put(state.mouse.output.shift()!, "mouse");
			} else break;
		}
		this.drive();
	}

	/** IRQ 1 for a full buffer, IRQ 12 when the byte is the mouse's; each as the command byte allows. */
	private drive(): void {
		const { output, memory } = this.state;
		const mouse = output?.source === "mouse";
		this.irq1.set(output !== null && !mouse && (memory[0]! & KEYBOARD_INTERRUPT) !== 0);
		this.irq12.set(mouse && (memory[0]! & AUXILIARY_INTERRUPT) !== 0);
	}
}

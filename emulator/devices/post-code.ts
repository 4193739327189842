// Port 0x80: the code that firmware shows while it tests itself, and the port that kernels write for a short delay.

import type { Device, RegisterBlock, RegisterView } from "./device.ts";

interface PostCodeState {
	code: number;
}

/** Register block: 1 port at 0x80 (page register 0 of the DMA controller has no channel, so the port is free). */
export class PostCode implements Device, RegisterBlock {
	readonly name = "POST code";
	readonly widestAccess = 1;
	private state: PostCodeState = { code: 0 };

	read(): number {
		return this.state.code;
	}

	write(_offset: number, _size: number, value: number): void {
		this.state.code = value & 0xff;
	}

	reset(): void {
		this.state = { code: 0 };
	}

	save(): unknown {
		return { ...this.state };
	}

	restore(state: unknown): void {
		this.state = { ...(state as PostCodeState) };
	}

	registers(): RegisterView[] {
		return [{ name: "code", width: 8, value: this.state.code }];
	}
}

import type { Debuggee } from "../debuggee.ts";
import type { Motion } from "./motion.ts";

/** A motion that is over sooner than this is not spoken of, in milliseconds. */
const PATIENCE = 500;
/** Between two reports. */
const INTERVAL = 250;

/** Tells the client how far a motion has come that takes long before it shows anything: one that goes back. */
export class MotionProgress {
	/** Set when the client has said that it shows progress. */
	isWanted = false;
	private motion: Motion | undefined;
	private begun = 0;
	private told = 0;
	private id: string | undefined;
	private next = 1;

	constructor(private readonly debuggee: Debuggee) {}

	begin(motion: Motion): void {
		this.end();
		if (!this.isWanted || motion.title === undefined) return;
		this.motion = motion;
		this.begun = this.debuggee.host.now();
	}

	/** Called between two pieces of the motion. */
	tell(): void {
		const { motion } = this;
		if (!motion) return;
		const now = this.debuggee.host.now();
		if (now - this.begun < PATIENCE || now - this.told < INTERVAL) return;
		this.told = now;
		const count = this.debuggee.machine.instructionCount().toLocaleString("en-US");
		const message = `at instruction ${count}`;
		if (this.id !== undefined) {
			this.debuggee.emit("progressUpdate", { progressId: this.id, message });
			return;
		}
		this.id = `motion-${this.next++}`;
		const progress = { progressId: this.id, title: motion.title!, cancellable: true, message };
		this.debuggee.emit("progressStart", progress);
	}

	/** Whether the id is that of what goes on now. */
	isOf(id: string): boolean {
		return id === this.id;
	}

	end(): void {
		if (this.id !== undefined) this.debuggee.emit("progressEnd", { progressId: this.id });
		this.id = undefined;
		this.motion = undefined;
	}
}

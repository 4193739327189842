import type { RequestArguments } from "../request-arguments.ts";
import { sentenceOf } from "../request-error.ts";
import { parseHitCondition } from "./hit-condition.ts";
import { fillLogMessage } from "./log-message.ts";

/** How a breakpoint's texts are evaluated where it was hit. */
export interface TriggerScope {
	/** @throws with one sentence when the expression cannot be evaluated. */
	number(expression: string): bigint;
	/** The value as a person reads it; an error's sentence in its place. */
	show(expression: string): string;
}

/** The condition, hit count and log message that any kind of breakpoint may have. */
export class Trigger {
	private hits = 0;
	private readonly hitCondition: ((hits: number) => boolean) | undefined;

	/** @throws {RequestError} for a hit count that is not understood. */
	constructor(
		readonly condition: string | undefined,
		readonly hitText: string | undefined,
		readonly logMessage: string | undefined,
	) {
		this.hitCondition = hitText?.trim() ? parseHitCondition(hitText) : undefined;
	}

	/** @throws {RequestError} */
	static of(args: RequestArguments): Trigger {
		return new Trigger(
			args.optionalString("condition"),
			args.optionalString("hitCondition"),
			args.optionalString("logMessage"),
		);
	}

	/** Equal texts: a breakpoint that is set again unchanged keeps its count. */
	equals(other: Trigger): boolean {
		return this.condition === other.condition && this.hitText === other.hitText && this.logMessage === other.logMessage;
	}

	/** The machine was switched on anew. */
	reset(): void {
		this.hits = 0;
	}

	/** Whether it would stop a machine that runs backwards: log messages do not, and hits are not counted. */
	matches(scope: TriggerScope): boolean {
		if (this.logMessage !== undefined && this.logMessage !== "") return false;
		if (!this.condition?.trim()) return true;
		try {
			return scope.number(this.condition) !== 0n;
		} catch {
			return true;
		}
	}

	/**
	 * Counts a hit. `stop` says whether the machine stays stopped, `output` what is to be printed. A condition that
	 * cannot be evaluated stops, and says why: a breakpoint must not be lost silently.
	 */
	hit(scope: TriggerScope): { stop: boolean; output?: string } {
		if (this.condition?.trim()) {
			try {
				if (scope.number(this.condition) === 0n) return { stop: false };
			} catch (error) {
				return {
					stop: true,
					output: `The condition "${this.condition}" cannot be evaluated: ${sentenceOf(error)}`,
				};
			}
		}
		this.hits++;
		if (this.hitCondition && !this.hitCondition(this.hits)) return { stop: false };
		if (this.logMessage !== undefined && this.logMessage !== "")
			return { stop: false, output: fillLogMessage(this.logMessage, (expression) => scope.show(expression)) };
		return { stop: true };
	}
}

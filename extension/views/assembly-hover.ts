// What a hover over assembly evaluates: the register without its sign, the symbol without its dollar.
import * as vscode from "vscode";
import { assemblyExpression } from "./assembly-expression.ts";

export function registerAssemblyHover(): vscode.Disposable {
	return vscode.languages.registerEvaluatableExpressionProvider(["gas", "asm", "nasm", "assembly", "x86asm"], {
		provideEvaluatableExpression(document, position) {
			const found = assemblyExpression(document.lineAt(position.line).text, position.character);
			if (!found) return undefined;
			const range = new vscode.Range(position.line, found.start, position.line, found.end);
			return new vscode.EvaluatableExpression(range, found.expression);
		},
	});
}

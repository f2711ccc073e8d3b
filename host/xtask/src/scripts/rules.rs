//! The rules, each a function over one script.

use std::{collections::HashSet, fmt};

use anyhow::{Context, Result};
use tree_sitter::Node;

use super::{
    BASE,
    script::{Script, declared, first_of_kind},
};

/// Something that is wrong in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// File name.
    pub script: String,
    /// Line, from 1.
    pub line: usize,
    /// Which rule.
    pub rule: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            script,
            line,
            rule,
            message,
        } = self;
        write!(f, "{script}:{line}: [{rule}] {message}")
    }
}

/// Cmdlets of Windows PowerShell 5.1 that the scripts use. A name that is not here is a typing error, an alias, a
/// cmdlet of a later PowerShell, or to be added.
const CMDLETS: &[&str] = &[
    "Copy-Item",
    "Export-Certificate",
    "ForEach-Object",
    "Format-List",
    "Get-ChildItem",
    "Get-CimInstance",
    "Get-Command",
    "Get-ComputerInfo",
    "Get-ItemProperty",
    "Get-PnpDevice",
    "Get-Service",
    "Get-WinEvent",
    "Get-WindowsDriver",
    "Import-Certificate",
    "Join-Path",
    "New-Item",
    "New-ItemProperty",
    "New-Object",
    "New-SelfSignedCertificate",
    "Out-File",
    "Out-Host",
    "Out-Null",
    "Remove-Item",
    "Remove-ItemProperty",
    "Resolve-Path",
    "Select-Object",
    "Set-Location",
    "Set-StrictMode",
    "Sort-Object",
    "Split-Path",
    "Start-Process",
    "Start-Sleep",
    "Test-Path",
    "Where-Object",
    "Write-Host",
    "Write-Warning",
];

/// Variables PowerShell itself sets.
const AUTOMATIC: &[&str] = &[
    "_",
    "args",
    "ErrorActionPreference",
    "false",
    "LASTEXITCODE",
    "null",
    "PSCommandPath",
    "PSScriptRoot",
    "true",
];

struct Check<'a> {
    script: &'a Script,
    findings: &'a mut Vec<Finding>,
}

/// Holds `script` to every rule.
pub fn check(script: &Script, base: &Script, all: &[Script], findings: &mut Vec<Finding>) {
    let mut check = Check { script, findings };
    check.syntax();
    check.ascii();
    if script.name != BASE {
        check.header();
    }
    check.commands(base, all);
    check.failures();
    check.variables(base);
}

impl Check<'_> {
    fn found(&mut self, line: usize, rule: &'static str, message: impl Into<String>) {
        self.findings.push(Finding {
            script: self.script.name.clone(),
            line,
            rule,
            message: message.into(),
        });
    }

    fn syntax(&mut self) {
        for node in self.script.nodes() {
            if node.is_error() || node.is_missing() {
                let text: String = self.script.text_of(node).chars().take(40).collect();
                self.found(line(node), "syntax", format!("does not parse: {text:?}"));
            }
        }
        for node in self.script.of_kind("pipeline_chain_tail") {
            self.found(
                line(node),
                "powershell-5",
                "Windows PowerShell 5.1 has no && and ||",
            );
        }
    }

    /// 5.1 reads a file without a mark in the code page of the machine.
    fn ascii(&mut self) {
        let lines: Vec<usize> = (1..)
            .zip(self.script.text.lines())
            .filter(|(_, l)| !l.is_ascii())
            .map(|(n, _)| n)
            .collect();
        for line in lines {
            self.found(
                line,
                "ascii",
                "write it in ASCII: 5.1 reads other bytes in the machine's code page",
            );
        }
    }

    fn header(&mut self) {
        let text = &self.script.text;
        if !(text.starts_with("<#") && text.contains(".SYNOPSIS")) {
            self.found(1, "help", "begin with <# .SYNOPSIS … #>: Get-Help shows it");
        }
        if !text.contains("[CmdletBinding") {
            self.found(
                1,
                "help",
                "without [CmdletBinding()] a misspelled parameter is ignored",
            );
        }
        let sources_base = self.script.of_kind("command").into_iter().any(|c| {
            let words = self.script.text_of(c);
            words.starts_with(". ") && words.contains(BASE)
        });
        if !sources_base {
            self.found(
                1,
                "base",
                format!("dot-source {BASE}: it makes every error end the script"),
            );
        }
    }

    fn commands(&mut self, base: &Script, all: &[Script]) {
        let mut functions = base.functions();
        functions.extend(self.script.functions());
        for command in self.script.of_kind("command") {
            let script = self.script;
            let Some(name) = name_of(script, command) else {
                continue;
            };
            let called = has_invocation(command);
            let function = functions.iter().find(|(f, _)| *f == name);
            let other = all
                .iter()
                .find(|s| name.ends_with(&format!("\\{}", s.name)));
            if let Some((_, parameters)) = function {
                self.parameters(command, &name, parameters);
                if ["Invoke-Native", "Assert-Path"].contains(&name.as_str())
                    && !given(script, command).iter().any(|p| p == "IfItFails")
                {
                    self.found(
                        line(command),
                        "if-it-fails",
                        format!("{name} without -IfItFails: the person is left alone"),
                    );
                }
            } else if let Some(other) = other {
                if other.name != BASE {
                    self.parameters(command, &other.name, &other.parameters());
                }
            } else if name.contains('-') && !name.contains('.') {
                if !CMDLETS.contains(&name.as_str()) {
                    self.found(
                        line(command),
                        "cmdlet",
                        format!("{name} is no cmdlet the scripts use; misspelled?"),
                    );
                }
            } else if !called {
                self.found(line(command), "cmdlet", format!("{name}: call a native program with Invoke-Native or &, a cmdlet by its full name"));
            } else if is_whole_statement(command) {
                self.found(
                    line(command),
                    "exit-code",
                    format!("nobody looks at the exit code of {name}: use Invoke-Native"),
                );
            }
        }
    }

    fn parameters(&mut self, command: Node<'_>, callee: &str, known: &[String]) {
        for parameter in given(self.script, command) {
            if !known.contains(&parameter) {
                self.found(
                    line(command),
                    "parameter",
                    format!("{callee} has no parameter -{parameter}"),
                );
            }
        }
    }

    fn failures(&mut self) {
        for node in self.script.of_kind("flow_control_statement") {
            let text = self.script.text_of(node);
            // The base's own failures put the caller's advice after it.
            if text.starts_with("throw") && !text.contains("What to do:") {
                self.found(
                    line(node),
                    "what-to-do",
                    "a failure has to say \"What to do: …\"",
                );
            }
        }
    }

    fn variables(&mut self, base: &Script) {
        let known: HashSet<String> = set_in(base)
            .into_iter()
            .chain(set_in(self.script))
            .collect();
        for node in self.script.of_kind("variable") {
            let text = self.script.text_of(node);
            let name = text
                .trim_start_matches(['$', '@', '{'])
                .trim_end_matches('}');
            let scoped = name.contains(':');
            if !scoped && !AUTOMATIC.contains(&name) && !known.contains(&name.to_ascii_lowercase())
            {
                self.found(line(node), "variable", format!("${name} is never set"));
            }
        }
    }
}

/// Variables that are assigned, declared as parameters or loop over something, in lower case.
fn set_in(script: &Script) -> Vec<String> {
    let mut set = Vec::new();
    let mut add = |node: Option<Node<'_>>| {
        if let Some(node) = node {
            set.push(
                script
                    .text_of(node)
                    .trim_start_matches('$')
                    .to_ascii_lowercase(),
            );
        }
    };
    for node in script.of_kind("left_assignment_expression") {
        add(first_of_kind(node, "variable"));
    }
    for node in script.of_kind("script_parameter") {
        add(declared(node));
    }
    for node in script.of_kind("foreach_statement") {
        let mut cursor = node.walk();
        add(node.children(&mut cursor).find(|c| c.kind() == "variable"));
    }
    set
}

fn line(node: Node<'_>) -> usize {
    node.start_position().row + 1
}

/// The word a command starts with, without quotes; nothing for a script block or variable.
fn name_of(script: &Script, command: Node<'_>) -> Option<String> {
    let mut cursor = command.walk();
    let word = command
        .children(&mut cursor)
        .find(|c| ["command_name", "command_name_expr", "path_command_name"].contains(&c.kind()))?;
    let text = script.text_of(word).trim_matches(['"', '\'']);
    (!text.starts_with('$') || text.contains('\\')).then(|| text.to_owned())
}

fn has_invocation(command: Node<'_>) -> bool {
    let mut cursor = command.walk();
    command
        .children(&mut cursor)
        .any(|c| c.kind() == "command_invokation_operator")
}

/// The parameters a command is given, without the dash.
fn given(script: &Script, command: Node<'_>) -> Vec<String> {
    let mut all = Vec::new();
    let mut cursor = command.walk();
    for part in command.children(&mut cursor) {
        let mut inner = part.walk();
        for word in part.children(&mut inner) {
            if word.kind() == "command_parameter" {
                all.push(
                    script
                        .text_of(word)
                        .trim_start_matches('-')
                        .trim_end_matches(':')
                        .to_owned(),
                );
            }
        }
    }
    all
}

/// Whether the command stands alone: not assigned, not piped on, not a value. A part of `collect.ps1` is a block of
/// its own, and a part that fails must not cost the others.
fn is_whole_statement(command: Node<'_>) -> bool {
    let Some(chain) = command.parent() else {
        return true;
    };
    if chain.named_child_count() != 1 {
        return false;
    }
    let mut above = chain.parent();
    while let Some(node) = above {
        match node.kind() {
            "assignment_expression" | "parenthesized_expression" | "script_block_expression" => {
                return false;
            }
            "statement_list" => {
                let within = node.parent();
                return within.is_none_or(|w| w.kind() != "script_block_body");
            }
            _ => above = node.parent(),
        }
    }
    true
}

/// The checklist calls scripts by name; every one must be there and have the parameters it is given.
pub fn checklist_calls(scripts: &[Script], plan: &str) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (index, text) in plan.lines().enumerate() {
        for call in text.split("{scripts}\\").skip(1) {
            let (name, rest) = call.split_once('\'').context("an unquoted script")?;
            let mut found = |message| {
                findings.push(Finding {
                    script: "verify.toml".into(),
                    line: index + 1,
                    rule: "parameter",
                    message,
                });
            };
            let Some(script) = scripts.iter().find(|s| s.name == name) else {
                found(format!("there is no script {name}"));
                continue;
            };
            let known = script.parameters();
            for word in rest.split(['\'', ',', ']']).filter(|w| w.starts_with('-')) {
                let parameter = word.trim_start_matches('-');
                if !known.iter().any(|k| k == parameter) {
                    found(format!("{name} has no parameter -{parameter}"));
                }
            }
        }
    }
    Ok(findings)
}

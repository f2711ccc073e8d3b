//! Each rule with a script that breaks it; the repository's own scripts break none.

use super::*;

const GOOD: &str = "<#\n.SYNOPSIS\nA test.\n#>\n[CmdletBinding()]\nparam([string] $Name = 'x')\n. \"$PSScriptRoot\\native.ps1\"\n";
const NATIVE: &str = "function Invoke-Native {\n    param(\n        [Parameter(Mandatory = $true)] [string] $Program,\n        [string[]] $Arguments = @(),\n        [string] $IfItFails\n    )\n    & $Program @Arguments | Out-Host\n}\n";

fn rules_broken(text: &str) -> Vec<&'static str> {
    let scripts = vec![
        Script::parse(BASE, NATIVE.into()).expect("parses"),
        Script::parse("own.ps1", text.into()).expect("parses"),
    ];
    let findings = check(&scripts).expect("there is a base");
    findings.iter().map(|f| f.rule).collect()
}

#[test]
fn a_good_script_breaks_no_rule() {
    let body = "Invoke-Native -Program 'tool' -Arguments @($Name) -IfItFails 'look'\n$said = & tool /query\nforeach ($line in $said) { Write-Host $line }\n";
    assert_eq!(rules_broken(&format!("{GOOD}{body}")), [""; 0]);
}

#[test]
fn every_rule_has_a_script_that_breaks_it() {
    for (rule, body) in [
        ("syntax", "if ($Name {\n"),
        ("powershell-5", "Write-Host a && Write-Host b\n"),
        ("ascii", "Write-Host '\u{e4}'\n"),
        ("if-it-fails", "Invoke-Native -Program 'tool'\n"),
        ("parameter", "Invoke-Native -Progam 'tool' -IfItFails 'x'\n"),
        ("cmdlet", "Write-Hots 'x'\n"),
        ("cmdlet", "pnputil /enum-drivers\n"),
        ("exit-code", "& pnputil /enum-drivers\n"),
        ("what-to-do", "throw 'it failed'\n"),
        ("variable", "Write-Host $Nmae\n"),
    ] {
        let broken = rules_broken(&format!("{GOOD}{body}"));
        assert!(broken.contains(&rule), "{rule}: {body} breaks {broken:?}");
    }
    for (rule, from) in [
        ("help", ".SYNOPSIS"),
        ("help", "[CmdletBinding()]"),
        ("base", ". \"$PSScriptRoot\\native.ps1\""),
    ] {
        let broken = rules_broken(&GOOD.replace(from, ""));
        assert!(broken.contains(&rule), "{rule}: without {from}: {broken:?}");
    }
}

#[test]
fn a_call_of_the_checklist_must_fit_the_script() {
    let scripts = [Script::parse("own.ps1", GOOD.into()).expect("parses")];
    let calls = |line: &str| rules::checklist_calls(&scripts, line).expect("readable");
    assert_eq!(calls("run = ['x', '{scripts}\\own.ps1', '-Name', 'y']"), []);
    let wrong = calls("\nrun = ['x', '{scripts}\\own.ps1', '-Nmae', 'y']");
    assert_eq!((wrong.len(), wrong[0].line), (1, 2));
    assert_eq!(calls("run = ['{scripts}\\gone.ps1']").len(), 1);
}

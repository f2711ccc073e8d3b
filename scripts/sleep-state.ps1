<#
.SYNOPSIS
Exit code 0 if the machine has this sleep state, 1 if not.
.DESCRIPTION
powercfg prints in the language of the system; the power capabilities in the registry-backed API do not. It is asked for
by the two names that are the same in every language.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)] [ValidateSet('S0', 'S3', 'S4')] [string] $Has
)
. "$PSScriptRoot\native.ps1"
# Available states are listed first; the list of those that are not begins after the first empty line.
$available = @()
foreach ($line in (& powercfg /a)) {
    if ($available.Count -gt 1 -and -not $line.Trim()) { break }
    $available += $line
}
$found = switch ($Has) {
    'S0' { $available -match '\(S0 ' }
    'S3' { $available -match '\(S3\)' }
    'S4' { (Get-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Control\Power').HibernateEnabled -eq 1 }
}
if ($found) { exit 0 }
exit 1

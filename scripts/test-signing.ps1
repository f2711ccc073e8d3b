<#
.SYNOPSIS
Switches test signing on or off, or checks that it is on. Needs a restart to take effect.
#>
[CmdletBinding(DefaultParameterSetName = 'On')]
param(
    [Parameter(ParameterSetName = 'Off', Mandatory = $true)] [switch] $Off,
    [Parameter(ParameterSetName = 'Check', Mandatory = $true)] [switch] $Check
)
. "$PSScriptRoot\native.ps1"
Assert-Administrator

# What the running kernel was started with, not what the boot store says for the next start.
$options = (Get-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Control').SystemStartOptions
$running = $options -match '\bTESTSIGNING\b'

if ($Check) {
    if (-not $running) {
        throw 'Test signing is not on. What to do: switch Secure Boot off in the firmware, run scripts\test-signing.ps1, restart.'
    }
    Write-Host 'Test signing is on.'
    return
}
$value = if ($Off) { 'off' } else { 'on' }
Invoke-Native -Program 'bcdedit' -Arguments @('/set', 'testsigning', $value) -IfItFails 'Secure Boot protects this setting: switch it off in the firmware, then call this again'
if ($running -eq (-not $Off)) {
    Write-Host "Test signing is $value already."
} else {
    Write-Host "Test signing will be $value after a restart: Restart-Computer"
}

<#
.SYNOPSIS
Leaves a program behind whose read is parked in ferry, and checks that it is. It ends with the session.
#>
[CmdletBinding()]
param([string] $Ferryctl = 'ferryctl.exe')
. "$PSScriptRoot\native.ps1"
$hold = @('hold', '--ops', 'read', '--max-age', '10m', '--', $Ferryctl, 'read', '--timeout', '10m')
$program = Start-Process -FilePath $Ferryctl -ArgumentList $hold -WindowStyle Hidden -PassThru
for ($try = 1; $try -le 100; $try++) {
    $stats = & $Ferryctl stats --json
    if ($stats -match '"in_flight":1') {
        Write-Host "A read is parked; process $($program.Id) waits for it."
        return
    }
    if ($program.HasExited) {
        throw "The program ended with $($program.ExitCode) before its read was parked. What to do: ferryctl exercise --filter hold"
    }
    Start-Sleep -Milliseconds 100
}
throw 'No read was parked. What to do: ferryctl stats shows where requests go; ferryctl exercise --filter hold'

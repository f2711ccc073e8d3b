<#
.SYNOPSIS
Switches Driver Verifier and the KMDF verifier off. Needs a restart to take effect.
#>
[CmdletBinding()]
param()
. "$PSScriptRoot\native.ps1"
Assert-Administrator
Invoke-Native -Program 'verifier' -Arguments @('/reset') -Good @(0, 2) -IfItFails 'in Safe Mode: verifier /reset'
foreach ($service in @('ferry', 'pier')) {
    $wdf = "HKLM:\SYSTEM\CurrentControlSet\Services\$service\Parameters\Wdf"
    if (Test-Path $wdf) {
        foreach ($value in @('VerifierOn', 'VerifyOn', 'VerifyDownLevel', 'ForceLogsInMiniDump', 'LogPages', 'TrackHandles')) {
            Remove-ItemProperty -Path $wdf -Name $value -ErrorAction SilentlyContinue
        }
    }
}
Write-Host 'Driver Verifier is off after a restart.'

<#
.SYNOPSIS
Installs both packages and makes the software device; what is there already is left alone.
.PARAMETER Package
The folder that holds pier and ferry.
.PARAMETER Devgen
devgen.exe of the WDK (Windows 11 22H2 and later).
.PARAMETER Device
Instance of the software device. Under ROOT it outlives a restart.
#>
[CmdletBinding()]
param(
    [string] $Package = 'package',
    [string] $Devgen = 'devgen.exe',
    [string] $Device = 'ROOT\DEVGEN\FERRYPIER'
)
. "$PSScriptRoot\native.ps1"
Assert-Administrator
$Devgen = Find-KitTool -Name $Devgen
Assert-Path -Path (Join-Path $Package 'pier\pier.cat') -IfItFails 'the package has no catalogue: finish it with scripts\sign.ps1 on a machine with the WDK'

# 259: nothing newer to do. 3010: done, a restart will complete it.
$pnputil = @(0, 259, 3010)
$log = 'C:\Windows\INF\setupapi.dev.log has the story; problem codes are in docs\install.md'
Invoke-Native -Program 'pnputil' -Arguments @('/add-driver', (Join-Path $Package 'pier\pier.inf'), '/install') -Good $pnputil -IfItFails $log
if (-not (Get-PnpDevice -InstanceId $Device -ErrorAction SilentlyContinue)) {
    $instance = $Device.Split('\')[-1]
    $bus = $Device.Split('\')[0]
    Invoke-Native -Program $Devgen -Arguments @('/add', '/bus', $bus, '/instanceid', $instance, '/hardwareid', 'ROOT\FERRYPIER') -IfItFails 'copy devgen.exe from the WDK''s tools folder beside the scripts'
}
Invoke-Native -Program 'pnputil' -Arguments @('/add-driver', (Join-Path $Package 'ferry\ferry.inf'), '/install') -Good $pnputil -IfItFails $log
if ($LASTEXITCODE -eq 3010) {
    Invoke-Native -Program 'pnputil' -Arguments @('/restart-device', $Device) -Good $pnputil -IfItFails 'close what has the device open, or restart the machine'
}

$state = Get-PnpDevice -InstanceId $Device
if ($state.Status -ne 'OK') {
    throw "The device has problem $($state.Problem). What to do: look the code up in docs\install.md; $log"
}
$services = & pnputil /enum-devices /instanceid $Device /services
if (-not ($services -match '\bferry\b')) {
    throw "The device runs without ferry. What to do: pnputil /enum-devices /instanceid $Device /drivers shows whether ferry.inf is among its extensions; $log"
}
Write-Host "ferry is above pier on $Device. Next: ferryctl exercise"

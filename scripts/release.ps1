<#
.SYNOPSIS
Lets go what ferry still holds; content if there is nothing to hold any more, not even ferry.
#>
[CmdletBinding()]
param([string] $Ferryctl = 'ferryctl.exe')
. "$PSScriptRoot\native.ps1"
# 1: the device is disabled or gone, and with it what it held.
Invoke-Native -Program $Ferryctl -Arguments @('release') -Good @(0, 1) -IfItFails 'copy ferryctl.exe beside the scripts'

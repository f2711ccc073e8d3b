<#
.SYNOPSIS
Makes the test certificate (build machine), trusts it or takes it out again (test machine).
.PARAMETER Export
Makes the certificate in the current user's store if there is none, and writes it to this .cer file.
.PARAMETER Trust
Puts this .cer file into the machine's Root and TrustedPublisher stores. On a machine you can throw away, nowhere else.
.PARAMETER Remove
Takes every certificate of this name out of those stores.
#>
[CmdletBinding()]
param(
    [Parameter(ParameterSetName = 'Export', Mandatory = $true)] [string] $Export,
    [Parameter(ParameterSetName = 'Trust', Mandatory = $true)] [string] $Trust,
    [Parameter(ParameterSetName = 'Remove', Mandatory = $true)] [switch] $Remove
)
. "$PSScriptRoot\native.ps1"

# `cargo xtask package` signs with the certificate of this name.
$subject = 'CN=ferry test signing'
$machineStores = @('Cert:\LocalMachine\Root', 'Cert:\LocalMachine\TrustedPublisher')

if ($Export) {
    $certificate = Get-ChildItem Cert:\CurrentUser\My -CodeSigningCert | Where-Object { $_.Subject -eq $subject } | Select-Object -First 1
    if (-not $certificate) {
        $certificate = New-SelfSignedCertificate -Type CodeSigningCert -Subject $subject -HashAlgorithm SHA256 -CertStoreLocation Cert:\CurrentUser\My
    }
    Export-Certificate -Cert $certificate -FilePath $Export | Out-Null
    Write-Host "The certificate is in $Export"
    return
}

Assert-Administrator
if ($Trust) {
    Assert-Path -Path $Trust -IfItFails 'cargo xtask package writes ferry-test.cer beside the package folders; copy it along with them'
    foreach ($store in $machineStores) {
        Import-Certificate -FilePath $Trust -CertStoreLocation $store | Out-Null
    }
    Write-Host "$Trust is trusted."
    return
}
foreach ($store in $machineStores) {
    Get-ChildItem $store | Where-Object { $_.Subject -eq $subject } | Remove-Item
}
Write-Host 'The certificate is trusted no more.'

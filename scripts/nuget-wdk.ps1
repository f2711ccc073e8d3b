<#
.SYNOPSIS
Installs the WDK from NuGet and names its folders for wdk-build and the PATH. For build machines of a CI service, which
have no WDK and no 16 GB to spare for one.
.PARAMETER Architecture
amd64 or arm64: what the drivers are built for. The tools are those of the x64 package.
.PARAMETER To
Folder the packages go to.
#>
[CmdletBinding()]
param(
    [ValidateSet('amd64', 'arm64')] [string] $Architecture = 'amd64',
    [string] $Version = '10.0.26100.6584',
    [string] $To = 'C:\wdk'
)
. "$PSScriptRoot\native.ps1"

$platform = if ($Architecture -eq 'arm64') { 'arm64' } else { 'x64' }
foreach ($package in @('Microsoft.Windows.SDK.CPP', 'Microsoft.Windows.WDK.x64', 'Microsoft.Windows.WDK.arm64')) {
    Invoke-Native -Program 'nuget' -Arguments @('install', $package, '-Version', $Version, '-OutputDirectory', $To, '-NonInteractive') -IfItFails "nuget search $package shows whether version $Version is still there"
}

$kit = ($Version.Split('.')[0..2] -join '.') + '.0'
$content = "$To\Microsoft.Windows.WDK.$platform.$Version\c"
$tools = "$To\Microsoft.Windows.WDK.x64.$Version\c"
$sdk = "$To\Microsoft.Windows.SDK.CPP.$Version\c\bin"
$advice = 'the layout of the NuGet packages has changed: look into the folder and correct scripts\nuget-wdk.ps1'
# infverif lies in tools, inf2cat in the x86 folder of bin, signtool in the SDK's bin.
$path = @("$tools\tools\$kit\x64", "$tools\bin\$kit\x64", "$tools\bin\$kit\x86", "$sdk\$kit\x64")
foreach ($folder in (@($content, $sdk) + $path)) {
    Assert-Path -Path $folder -IfItFails $advice
}
$settings = @{
    'WDKContentRoot' = $content
    'Version_Number' = $kit
    'WDKBinRoot' = "$tools\bin"
    'WDKToolRoot' = "$tools\tools"
    'WindowsSdkBinPath' = $sdk
}
if ($env:GITHUB_ENV) {
    foreach ($name in $settings.Keys) {
        "$name=$($settings[$name])" | Out-File -FilePath $env:GITHUB_ENV -Encoding utf8 -Append
    }
    $path | Out-File -FilePath $env:GITHUB_PATH -Encoding utf8 -Append
}
foreach ($name in $settings.Keys) { Write-Host "$name=$($settings[$name])" }

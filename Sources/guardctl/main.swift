import GuardControl

await GuardctlCommand.runAndExit()

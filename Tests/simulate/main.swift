import Glibc
import Options
import Simulator

exit(SimulateCommand.main(Array(CommandLine.arguments.dropFirst())))

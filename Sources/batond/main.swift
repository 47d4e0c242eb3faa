import Glibc
import Linux
import Options
import Reactor

exit(BatonDaemon.main(Array(CommandLine.arguments.dropFirst())))

import Glibc

let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.first == RunCommand.name {
  // On the main thread and nowhere else: the kernel ties the child to the thread that starts it.
  exit(RunCommand.main(Array(arguments.dropFirst())))
}
exit(await BatonCommand.main(arguments))

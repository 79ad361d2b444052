"""Jobs: work that takes seconds to hours, each in a process of its own so that searches go on meanwhile.

process      what runs in that process: the kinds of jobs, and the protocol on its standard streams
job_folder   states of all jobs, shared by the processes of a server
runner       starts such processes, follows and cancels them
write_queue  jobs that change the library, one after the other, also across several server processes
results      results of jobs that read: documents shared by equal requests, and streamed vectors
"""

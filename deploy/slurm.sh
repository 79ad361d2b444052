#!/bin/bash
# Not tested: no Slurm cluster was available. See docs/scaling.md.
#
#   sbatch deploy/slurm.sh /shared/images /shared/parts
#   lookalike import-parts /shared/parts --library /shared/library      # when the array is done, or before
#
# Sixteen tasks index one shard each. A task that is preempted is queued again and continues after its last part.
#SBATCH --job-name=lookalike-index
#SBATCH --array=1-16
#SBATCH --cpus-per-task=8
#SBATCH --mem=8G
#SBATCH --time=12:00:00
#SBATCH --requeue
set -euo pipefail
exec lookalike index "$1" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_MAX" --parts "$2"

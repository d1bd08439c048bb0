# git: init, commit, branch, merge, conflict, rebase, log, clone over file://, push, stash, bisect, worktree, gc, archive.
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git config --global user.name Tester
git config --global user.email t@example.com
git config --global init.defaultBranch main
git config --global advice.detachedHead false
git config --global protocol.file.allow always
git init -q repo && cd repo
for i in 1 2 3; do
  echo "line $i" >>file
  git add file
  git commit -qm "commit $i"
done
git log --oneline
git rev-parse HEAD
git checkout -q -b topic
sed -i 's/line 2/topic line 2/' file
mkdir -p dir/sub
seq 100 >dir/sub/numbers
ln -s ../file dir/link
chmod +x file
git add -A
git commit -qm topic
git checkout -q main
echo other >other
git add other
git commit -qm other
git merge -q --no-ff -m merge topic
git log --graph --pretty='%h %s' --stat | cat
git ls-tree -r HEAD
git checkout -q -b left HEAD~1
echo left >>other
git commit -qam left
git checkout -q -b right HEAD~1
echo right >>other
git commit -qam right
git merge left
echo "conflict $?"
git status --short
git diff | cat
echo resolved >other
git add other
git commit -qm resolved
git rev-parse HEAD^2 | cut -c1-8
git checkout -q left
git rebase -q main 2>&1
git log --oneline -3
git cherry-pick right~1 2>&1 | tail -1 | cut -c1-60
git cherry-pick --abort
git rebase -q -i --exec 'true' HEAD~1 2>&1 | tail -1
GIT_SEQUENCE_EDITOR="sed -i 2s/pick/squash/" GIT_EDITOR=true git rebase -q -i main~2 2>&1 | tail -2
git log --oneline -2
git reset -q --hard ORIG_HEAD
git reflog | wc -l
git checkout -q main
echo dirty >>file
git stash -q
git status --short
git stash pop -q
git diff --stat | cat
git checkout -q file
git tag -a v1 -m 'tag one'
git describe
git blame -s file
git grep -n line
git show --name-only --pretty=%an HEAD~1
git rm -q other
git mv file moved
git status -sb
git reset -q --hard
cd ..
git clone -q "file://$PWD/repo" clone
cd clone
git log --oneline | wc -l
git branch -a | cat
echo new >new
git add new
git commit -qm new
git push -q origin HEAD:refs/heads/pushed
git fetch -q --all --prune
git pull -q --rebase origin main
git -C ../repo rev-parse pushed
git clone -q --bare ../repo ../bare.git
git clone -q --depth 1 "file://$PWD/../bare.git" ../shallow
git -C ../shallow log --oneline | wc -l
git submodule add -q "file://$PWD/../bare.git" sub
git submodule status | cut -c1-20
git commit -qm sub
for i in $(seq 1 12); do
  echo $i >counter
  [ $i -ge 8 ] && echo broken >>counter
  git add counter
  git commit -qm "count $i"
done
git bisect start -q HEAD HEAD~12 2>&1 | tail -1
git bisect run sh -c '! grep -q broken counter' 2>&1 | grep 'first bad'
git bisect reset -q 2>&1
git worktree add -q ../tree HEAD~2
git worktree list | wc -l
git gc -q
git fsck --full 2>&1 | grep -v dangling
git count-objects -v | grep -E 'count|packs'
git archive HEAD | tar -tf - | sort
git bundle create -q ../b HEAD
git bundle verify -q ../b
git format-patch -q -1 -o ../p
ls ../p
git am -q ../p/* 2>&1 | head -1
git am --abort
git config -l --local | grep -v submodule | sort
git ls-files -s | wc -l
git hash-object -w --stdin <<<x
git cat-file -p HEAD | tail -2
git shortlog -sn HEAD
git notes add -m note
git log -1 --pretty=%N
git clean -nd
git diff HEAD~3 --stat | cat
mkdir -p ../many && cd ../many && git init -q && for d in $(seq 1 20); do
  mkdir $d
  for f in $(seq 1 50); do echo "$d $f" >$d/$f; done
done
git add . && git commit -qm many
git status --short
rm -rf 7
git status --short | wc -l
git checkout -q .
git diff --quiet && echo clean
git log --stat | tail -1
git repack -adq
git rev-list --objects --all | wc -l
printf '#!/bin/sh\necho hook ran\n' >.git/hooks/pre-commit
chmod +x .git/hooks/pre-commit
git commit -q --allow-empty -m hook

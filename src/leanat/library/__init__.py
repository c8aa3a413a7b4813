"""Attacks, selection, training and robust accuracy for networks and data of one's own; docs/library.md shows each in use.

checks      images, labels, mean and std: what is refused, in one line
network     any ``nn.Module`` in the form that the rest of the package takes
attacks     pgd(net, x, y) and its neighbours
data        tensors, a Dataset or a folder of images in the form that the loop takes
evaluate    robust accuracy under several attacks
select      weighted subsets, once or anew every so many epochs of somebody else's loop
train       the loop of the papers on any network
"""
